"""Messages: delivered, failed, how late."""

from .alerts import GREEN, GREY, ORANGE, above
from .board import Board
from .common import banner
from .panels import TINTED, column, dashed, named, queries, ratio_sample, sample, series, stat, steps, table
from .queries import ACCOUNT, age, day, grew, of, quantile, share, total

BOARD = Board(
    "exotel-sms",
    "Exotel / SMS",
    "Messages with a final report, each counted once. Pending ones are in no figure here.",
    time="now-24h",
    by_exophone=False,
)

MESSAGES = of("exotel_sms_messages_total", ACCOUNT)
SENT = of("exotel_sms_messages_total", ACCOUNT, 'status="sent"')
FAILED = of("exotel_sms_messages_total", ACCOUNT, 'status=~"failed.*"')
CODES = of("exotel_sms_codes_total", ACCOUNT)
DELAY = of("exotel_sms_delivery_delay_seconds_bucket", ACCOUNT)
CALLBACKS = of("exotel_webhook_requests_total", ACCOUNT, 'kind="sms"')
LAST = of("exotel_webhook_last_received_timestamp_seconds", ACCOUNT, 'kind="sms"')

DELIVERED_SHARE = share(total(grew(SENT)), total(grew(MESSAGES)))
FAILED_SHARE = share(total(grew(FAILED)), total(grew(MESSAGES)))
STATUSES = [named("sent", "#37872d"), named("failed", "#e02f44"), named("failed_dnd", ORANGE), named("other", GREY)]
FAMILIES = [
    named("handset", "#37872d"),
    named("operator", "#b877d9"),
    named("refused", ORANGE),
    named("dlt", "#5794f2"),
    named("error", "#e02f44"),
    named("other", GREY),
]

banner(
    BOARD,
    own=stat(
        "Since the last report",
        "How long ago the newest report on a message came.",
        queries([("{{account}}", age(LAST, "min"))], instant=True),
        unit="s",
        decimals=0,
        names=True,
        no_value="never",
    ),
)

BOARD.line(
    5,
    (
        6,
        stat(
            "Delivered",
            "Messages sent over messages with a final report, last hour.",
            queries([("delivered", DELIVERED_SHARE), ("messages, 1 h", total(grew(MESSAGES)))], instant=True),
            unit="percentunit",
            decimals=1,
            no_value="no messages",
            overrides=[sample("messages, 1 h")],
            size=40,
        ),
    ),
    (
        6,
        stat(
            "Failed",
            "Messages that failed, numbers on the do-not-disturb list included, over messages with a final report, last hour.",
            queries([("failed", FAILED_SHARE), ("messages, 1 h", total(grew(MESSAGES)))], instant=True),
            unit="percentunit",
            decimals=1,
            no_value="no messages",
            thresholds=above("ExotelSmsFailureHigh"),
            alerts=["ExotelSmsFailureHigh"],
            overrides=[sample("messages, 1 h")],
            size=40,
        ),
    ),
    (
        6,
        stat(
            "Messages, last 24 hours",
            "Messages with a final report in the last 24 hours, exactly as counted.",
            queries([("messages", total(day(MESSAGES)))], instant=True),
            unit="locale",
            decimals=0,
            no_value="no messages",
        ),
    ),
    (
        6,
        stat(
            "Delay, 95 %",
            "95th percentile of the time from creation to the final report, last hour.",
            queries([("95 %", quantile(0.95, DELAY))], instant=True),
            unit="s",
            no_value="no messages",
        ),
    ),
)

BOARD.row("Messages")
BOARD.line(
    9,
    (
        8,
        series(
            "Messages by status",
            "Messages with a final report within the hour before each point. failed_dnd: the number is on the do-not-disturb list.",
            queries([("{{status}}", total(grew(MESSAGES), "status"))]),
            overrides=STATUSES,
            stacked=True,
        ),
    ),
    (
        8,
        series(
            "Messages by code",
            "The same messages by family of the number that Exotel gives the end: reached the handset, stopped at the operator, refused "
            "by the receiver (DND), templates or headers not registered (DLT), an error of Exotel's, anything else.",
            queries([("{{family}}", total(grew(CODES), "family"))]),
            overrides=FAMILIES,
            stacked=True,
        ),
    ),
    (
        8,
        series(
            "Failed",
            "Failed messages over messages with a final report, an hour, beside how many those are; dashed a week before.",
            queries(
                [
                    ("failed", FAILED_SHARE),
                    ("messages, 1 h", total(grew(MESSAGES))),
                    ("week before", share(total(grew(FAILED, offset="1w")), total(grew(MESSAGES, offset="1w")))),
                ]
            ),
            unit="percentunit",
            soft_max=0.2,
            thresholds=above("ExotelSmsFailureHigh"),
            overrides=[ratio_sample("messages, 1 h"), dashed("week before"), named("failed", "#e02f44")],
            alerts=["ExotelSmsFailureHigh"],
        ),
    ),
)
BOARD.line(
    8,
    (
        8,
        series(
            "Delay until the final report",
            "Median and 95th percentile over an hour.",
            queries([("median", quantile(0.5, DELAY)), ("95 %", quantile(0.95, DELAY))]),
            unit="s",
        ),
    ),
    (
        8,
        series(
            "Reports received",
            "Callbacks on messages within 15 minutes by what became of them.",
            queries([("{{outcome}}", total(grew(CALLBACKS, "15m"), "outcome") + " > 0")]),
            overrides=[named("accepted", GREEN)],
            alerts=["ExotelWebhookRejected"],
        ),
    ),
    (
        8,
        table(
            "Accounts, last 24 hours",
            "Exact numbers of the last 24 hours, and the failed share of the last hour.",
            [
                ("Messages", total(day(MESSAGES), "account")),
                ("Sent", total(day(SENT), "account")),
                ("Failed", total(day(FAILED), "account")),
                ("Failed, 1 h", share(total(grew(FAILED), "account"), total(grew(MESSAGES), "account"))),
            ],
            order=["account"],
            sort="Messages",
            overrides=[
                column(
                    "Failed, 1 h",
                    unit="percentunit",
                    decimals=1,
                    thresholds=steps(above("ExotelSmsFailureHigh")),
                    custom__cellOptions=TINTED,
                )
            ],
            alerts=["ExotelSmsFailureHigh"],
        ),
    ),
)
