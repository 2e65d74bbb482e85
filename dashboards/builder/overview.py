"""Is telephony up, is the business reachable, are we blind: the board for the wall."""

from .alerts import BLUE, GREEN, GREY, ORANGE, RED, below_complement, runbook
from .board import Board
from .common import BLIND, CALLS_BY_DIRECTION, CALLS_BY_OUTCOME, FIRING, FRESH
from .panels import TINTED, column, dashed, named, queries, ratio_sample, sample, series, stat, states, table, timeline
from .queries import ACCOUNT, INBOUND, OUTBOUND
from .queries import answered, calls, day, down, else_value, firing, grew, known_calls, of, per_second, reachable, share, total

BOARD = Board(
    "exotel-overview",
    "Exotel / Overview",
    "Is telephony up, is the business reachable, are we blind? Then: how calls fare, and what to look at next.",
)

UP = stat(
    "Is telephony up?",
    "UP: every number works in both directions, as far as Exotel's health poll and heartbeats say. PARTLY: at least one number is "
    "down. DOWN: no number can be called, or none can call out. UNKNOWN: neither poll nor heartbeat says anything.",
    queries(
        [
            (
                "{{account}}",
                f"min by (account) (max by (account, direction) ({reachable()})) + min by (account) ({reachable()})"
                + else_value(-1),
            )
        ],
        instant=True,
    ),
    mappings=states((2, "UP", GREEN), (1, "PARTLY", ORANGE), (0, "DOWN", RED), (-1, "UNKNOWN", GREY)),
    thresholds=[(None, GREY), (0, RED), (1, ORANGE), (2, GREEN)],
    alerts=["ExotelAllExophonesAffected", "ExotelExophoneOutage"],
    filled=True,
    names=True,
)

REACHABLE = stat(
    "Is the business reachable?",
    "Callers who reached a person in the last hour: answered inbound calls over all whose outcome is known, beside how many "
    "those are. Calls count minutes after their end.",
    queries([("answered", answered(INBOUND)), ("of inbound calls, 1 h", known_calls(INBOUND))], instant=True),
    unit="percentunit",
    decimals=0,
    no_value="no calls",
    alerts=["ExotelAnswerRatioDrop", "ExotelCallsStopped"],
    overrides=[sample("of inbound calls, 1 h")],
    size=52,
)

BOARD.line(6, (6, UP), (6, REACHABLE), (6, BLIND), (6, FIRING))

BOARD.line(
    4,
    (
        4,
        stat(
            "Down for callers",
            "ExoPhones that are down for incoming calls now, by poll or heartbeat, and how many are known.",
            queries(
                [
                    ("down", down("inbound")),
                    ("of numbers", total(of("exotel_exophones", ACCOUNT))),
                ],
                instant=True,
            ),
            no_value="unknown",
            thresholds=[(None, GREEN), (1, ORANGE)],
            alerts=["ExotelExophoneOutage"],
            overrides=[sample("of numbers")],
            size=26,
        ),
    ),
    (
        4,
        stat(
            "Outbound answered",
            "Answered outbound calls over all outbound calls whose outcome is known, last hour.",
            queries([("answered", answered(OUTBOUND)), ("of calls, 1 h", known_calls(OUTBOUND))], instant=True),
            unit="percentunit",
            decimals=0,
            no_value="no calls",
            overrides=[sample("of calls, 1 h")],
            size=26,
        ),
    ),
    (
        4,
        stat(
            "Network effectiveness",
            "NER: one minus failed calls over all calls, last hour. It tells of Exotel and the networks, not of who picks up.",
            queries(
                [
                    ("NER", "1 - " + share(total(grew(calls('status="failed"'))), total(grew(calls())))),
                    ("of calls, 1 h", total(grew(calls()))),
                ],
                instant=True,
            ),
            unit="percentunit",
            decimals=1,
            no_value="no calls",
            thresholds=below_complement("ExotelCallFailureBurn"),
            alerts=["ExotelCallFailureBurn"],
            overrides=[sample("of calls, 1 h")],
            size=26,
        ),
    ),
    (
        4,
        stat(
            "Calls, last 24 hours",
            "Settled calls of the last 24 hours, exactly as counted.",
            queries([("calls", total(day(calls())))], instant=True),
            unit="locale",
            decimals=0,
        ),
    ),
    (
        4,
        stat(
            "Calls in progress",
            "From call callbacks: an estimate, in both directions together. Where no callbacks come there is none.",
            queries([("calls", total(of("exotel_calls_in_progress", ACCOUNT)))], instant=True),
            decimals=0,
            no_value="no callbacks",
        ),
    ),
    (4, FRESH),
)

BOARD.row("Calls")
BOARD.line(9, (12, CALLS_BY_OUTCOME), (12, CALLS_BY_DIRECTION))
BOARD.line(
    8,
    (
        12,
        series(
            "Inbound answered",
            "Share of inbound calls that a person answered, over an hour; dashed a week before. Grey bars: how many calls that "
            "rests on.",
            queries(
                [
                    ("answered", answered(INBOUND)),
                    ("calls, 1 h", known_calls(INBOUND)),
                    ("week before", answered(INBOUND, offset="1w")),
                ]
            ),
            unit="percentunit",
            soft_max=1,
            overrides=[ratio_sample("calls, 1 h"), dashed("week before"), named("answered", GREEN)],
            alerts=["ExotelAnswerRatioDrop"],
        ),
    ),
    (
        12,
        timeline(
            "Numbers that were down",
            "Each ExoPhone and direction by poll or heartbeat: green reachable, red not, empty where nothing was known.",
            queries([("{{exophone}} {{direction}}", reachable())]),
            states((1, "Reachable", GREEN), (0, "Down", RED)),
            alerts=["ExotelExophoneOutage", "ExotelExophoneOutagePaging"],
        ),
    ),
)

BOARD.row("What to look at")
BOARD.line(
    8,
    (
        14,
        table(
            "Firing alerts",
            "What fires now; the name leads to its runbook.",
            [("Firing", firing())],
            order=["alertname", "severity", "account", "exophone", "direction"],
            hidden=["__name__", "alertstate", "component", "job", "instance", "kind", "endpoint", "pool", "op", "currency", "Value"],
            overrides=[
                column("Alert", links=[{"title": "Runbook", "url": runbook("${__value.raw}"), "targetBlank": True}]),
                column(
                    "Severity",
                    mappings=[
                        {
                            "type": "value",
                            "options": {
                                "critical": {"text": "critical", "color": RED, "index": 0},
                                "warning": {"text": "warning", "color": ORANGE, "index": 1},
                                "info": {"text": "info", "color": BLUE, "index": 2},
                            },
                        }
                    ],
                    custom__cellOptions=TINTED,
                    custom__width=100,
                ),
            ],
        ),
    ),
    (
        10,
        series(
            "Requests to Exotel",
            "Attempts each second, and those of them that failed: our own link to Exotel.",
            queries(
                [
                    ("requests", total(per_second(of("exotel_api_requests_total", ACCOUNT)))),
                    ("failed: {{reason}}", total(per_second(of("exotel_api_request_failures_total", ACCOUNT)), "reason") + " > 0"),
                ]
            ),
            unit="reqps",
            overrides=[named("requests", BLUE)],
            alerts=["ExotelApiDown", "ExotelApiErrorBudgetBurn"],
        ),
    ),
)
