"""What calls cost, and how long the balance lasts. Currencies are never added up."""

from .alerts import GREEN, GREY, ORANGE, RED
from .board import Board
from .common import banner
from .panels import bars, column, dashed, named, queries, series, stat, table
from .queries import ACCOUNT, EXOPHONE, age, day, grew, of, total

BOARD = Board(
    "exotel-cost",
    "Exotel / Cost",
    "Prices as Exotel gives them, in the currency of each account. They come late, some a week after the call: the newest hours are "
    "too low.",
    time="now-7d",
    refresh="5m",
)

COST = of("exotel_call_cost_total", EXOPHONE)
REFUNDS = of("exotel_call_cost_refunds_total", ACCOUNT)
TALK = of("exotel_call_conversation_seconds_total", EXOPHONE)
BALANCE = of("exotel_account_balance", ACCOUNT)
READ = of("exotel_balance_last_success_timestamp_seconds", ACCOUNT)
UNPRICED = of("exotel_calls_unpriced", ACCOUNT)

PER_MINUTE = (
    f"sum by (account, currency) (increase({COST}[1d])) / on (account) group_left ()"
    f" (sum by (account) (increase({TALK}[1d])) / 60 > 0)"
)
# Those in which Exotel bills; only what is dashed depends on it.
CURRENCIES = ["INR", "USD", "IDR", "SGD", "MYR", "PHP", "AED"]

# Days until the balance is empty at the pace of the last day; absent while it does not fall.
DAYS_LEFT = f"min by (account, currency) ({BALANCE} / ((0 - deriv({BALANCE}[1d])) > 0) / 86400)"

banner(
    BOARD,
    own=stat(
        "Since the balance was read",
        "How long ago the balance was read with success, where that is enabled.",
        queries([("{{account}}", age(READ))], instant=True),
        unit="s",
        decimals=0,
        names=True,
        no_value="not enabled",
    ),
)

BOARD.line(
    5,
    (
        5,
        stat(
            "Balance",
            "What Exotel says is left, where reading it is enabled. Calls stop when it is empty.",
            queries([("{{account}} {{currency}}", f"min by (account, currency) ({BALANCE})")], instant=True),
            unit="locale",
            decimals=0,
            no_value="not enabled",
            names=True,
            alerts=["ExotelBalanceLow"],
        ),
    ),
    (
        5,
        stat(
            "Days left",
            "How long the balance lasts at the pace of the last 24 hours. The alert fires when two days at that pace empty it.",
            queries([("{{account}} {{currency}}", DAYS_LEFT)], instant=True),
            decimals=1,
            no_value="not falling",
            thresholds=[(None, RED), (2, ORANGE), (7, GREEN)],
            names=True,
            alerts=["ExotelBalanceLow"],
        ),
    ),
    (
        5,
        stat(
            "Cost, last 24 hours",
            "What was added to the cost in the last 24 hours, exactly, prices that came late included.",
            queries([("{{currency}}", total(day(COST), "currency"))], instant=True),
            unit="locale",
            decimals=2,
            names=True,
        ),
    ),
    (
        5,
        stat(
            "Cost of a talk minute",
            "Cost over conversation minutes of the last 24 hours: calls without talk are paid for by those with it.",
            queries([("{{account}} {{currency}}", PER_MINUTE)], instant=True),
            decimals=2,
            no_value="no talk",
            names=True,
        ),
    ),
    (
        4,
        stat(
            "Not priced yet",
            "Completed calls of the last seven days for which Exotel has not said a price.",
            queries([("calls", total(UNPRICED))], instant=True),
            decimals=0,
        ),
    ),
)

BOARD.row("Spending")
BOARD.line(
    9,
    (
        12,
        series(
            "Cost by direction",
            "Added to the cost within the hour before each point.",
            queries([("{{direction}} {{currency}}", total(grew(COST), "direction, currency") + " > 0")]),
            stacked=True,
        ),
    ),
    (
        12,
        series(
            "Cost, and a week before",
            "Added within the hour before each point, by currency; dashed the same hour a week before. The alert fires above three times that.",
            queries(
                [
                    ("{{currency}}", total(grew(COST), "currency")),
                    ("{{currency}}, week before", total(grew(COST, offset="1w"), "currency")),
                ]
            ),
            overrides=[dashed(*(f"{currency}, week before" for currency in CURRENCIES))],
            alerts=["ExotelCostSpike"],
        ),
    ),
)
BOARD.line(
    9,
    (
        12,
        table(
            "Cost by ExoPhone",
            "What was added within the last 24 hours, exactly, and within the last hour.",
            [
                ("Cost, 24 h", total(day(COST), "account, exophone, currency")),
                ("Cost, 1 h", total(grew(COST), "account, exophone, currency")),
            ],
            order=["account", "exophone", "currency"],
            sort="Cost, 24 h",
            overrides=[column("Cost, 24 h", unit="locale", decimals=2), column("Cost, 1 h", decimals=2)],
        ),
    ),
    (
        12,
        bars(
            "Dearest numbers, 24 hours",
            "The ten ExoPhones that cost most in the last 24 hours; each currency for itself.",
            queries([("{{exophone}} {{currency}}", f"topk by (currency) (10, {total(day(COST), 'exophone, currency')} > 0)")], instant=True),
            unit="locale",
            decimals=2,
        ),
    ),
)

BOARD.row("Balance and prices")
BOARD.line(
    8,
    (
        8,
        series(
            "Balance",
            "As last read. A rise is a recharge.",
            queries([("{{account}} {{currency}}", f"min by (account, currency) ({BALANCE})")]),
            alerts=["ExotelBalanceLow"],
        ),
    ),
    (
        8,
        series(
            "Cost of a talk minute",
            "Cost over conversation minutes of the 24 hours before each point.",
            queries([("{{account}} {{currency}}", PER_MINUTE)]),
        ),
    ),
    (
        8,
        series(
            "Late prices and refunds",
            "Completed calls without a price, and by how much prices fell within a day after they had been counted.",
            queries(
                [
                    ("calls without a price", total(UNPRICED)),
                    ("refunded, 1 d, {{currency}}", total(grew(REFUNDS, "1d"), "currency")),
                ]
            ),
            overrides=[named("calls without a price", GREY)],
        ),
    ),
)
