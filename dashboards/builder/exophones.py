"""Each number: up or down by poll and by push, since when, how often it flaps, how calls on it fare."""

from .alerts import BLUE, GREEN, GREY, ORANGE, RED, above
from .board import Board
from .common import banner
from .panels import TINTED, bars, column, named, queries, series, stat, states, steps, table, timeline
from .queries import ACCOUNT, EXOPHONE, HEALTH_OVERDUE
from .queries import age, answered, calls, down, else_value, equal, grew, of, reachable, total

BOARD = Board(
    "exotel-exophones",
    "Exotel / ExoPhones",
    "Health of every number by Exotel's connectivity check, which is polled, and by heartbeats, which Exotel pushes; both are shown "
    "apart, since either can be silent.",
)

UP = of("exotel_exophone_up", EXOPHONE)
STATE = "exotel_exophone_state"
CHANGES = of("exotel_exophone_state_changes_total", EXOPHONE)
CHECKED = of("exotel_exophone_last_check_timestamp_seconds", EXOPHONE)
LAST_ANSWER = of("exotel_exophone_last_answer_timestamp_seconds", EXOPHONE)
AFFECTED = of("exotel_heartbeat_exophone_affected", EXOPHONE)
HEARTBEAT = of("exotel_webhook_last_received_timestamp_seconds", ACCOUNT, equal("kind", "heartbeat"))
NUMBER = "account, exophone, direction"

# 1 to 4 by state, for the lanes of the timeline.
STATES = " or ".join(
    f"{i} * ({of(STATE, EXOPHONE, equal('state', state))} == 1)"
    for i, state in enumerate(("active", "partial", "outage", "unknown"), start=1)
)

banner(
    BOARD,
    own=stat(
        "Since the last health poll",
        "How long ago the connectivity of every number was asked for with success.",
        queries([("{{account}}", age(of("exotel_health_poll_last_success_timestamp_seconds", ACCOUNT)))], instant=True),
        unit="s",
        decimals=0,
        names=True,
        no_value="never",
        alerts=["ExotelHealthPollStalled"],
    ),
)

BOARD.line(
    4,
    (
        4,
        stat(
            "Down for callers",
            "Numbers that cannot be called now, by poll or heartbeat.",
            queries([("down", down("inbound"))], instant=True),
            no_value="unknown",
            thresholds=[(None, GREEN), (1, RED)],
            alerts=["ExotelExophoneOutage", "ExotelExophoneOutagePaging"],
            filled=True,
        ),
    ),
    (
        4,
        stat(
            "Down for calling out",
            "Numbers that cannot call out now, by poll or heartbeat.",
            queries([("down", down("outbound"))], instant=True),
            no_value="unknown",
            thresholds=[(None, GREEN), (1, ORANGE)],
            alerts=["ExotelExophoneOutage", "ExotelExophoneOutagePaging"],
            filled=True,
        ),
    ),
    (
        4,
        stat(
            "Degraded",
            "Numbers and directions with a partial network outage, by poll.",
            queries([("degraded", f"sum(max by ({NUMBER}) ({of(STATE, EXOPHONE, equal('state', 'partial'))}))")], instant=True),
            no_value="unknown",
            thresholds=[(None, GREEN), (1, ORANGE)],
            alerts=["ExotelExophoneDegraded"],
            filled=True,
        ),
    ),
    (
        4,
        stat(
            "Known numbers",
            "ExoPhones of the chosen accounts on Exotel's list.",
            queries([("numbers", total(of("exotel_exophones", ACCOUNT)))], instant=True),
            decimals=0,
        ),
    ),
    (
        4,
        stat(
            "Availability, 24 h",
            "Mean share of the last 24 hours in which numbers were up by poll, both directions. Time in which we were blind is left out.",
            queries([("up", f"avg(avg_over_time({UP}[1d]))")], instant=True),
            unit="percentunit",
            decimals=2,
            no_value="no polls",
        ),
    ),
    (
        4,
        stat(
            "Heartbeat says",
            "The last heartbeat's own verdict on the whole account. NONE: no heartbeats are expected, or none came in time.",
            queries(
                [
                    (
                        "{{account}}",
                        "max by (account) ("
                        + " or ".join(
                            f"{i} * ({of('exotel_heartbeat_status', ACCOUNT, equal('status', status))} == 1)"
                            for i, status in enumerate(("OK", "PAYLOAD_TOO_LARGE", "WARNING", "CRITICAL"))
                        )
                        + ")"
                        + else_value(-1),
                    )
                ],
                instant=True,
            ),
            mappings=states((0, "OK", GREEN), (1, "TOO LARGE", ORANGE), (2, "WARNING", ORANGE), (3, "CRITICAL", RED), (-1, "NONE", GREY)),
            thresholds=[(None, GREY), (0, GREEN), (1, ORANGE), (3, RED)],
            filled=True,
            names=True,
            alerts=["ExotelHeartbeatMissing", "ExotelAllExophonesAffected"],
        ),
    ),
)

BOARD.row("States")
BOARD.line(
    9,
    (
        12,
        timeline(
            "By poll",
            "What Exotel's connectivity check said of each number and direction. Empty: not asked, or no answer for three intervals.",
            queries([("{{exophone}} {{direction}}", f"max by ({NUMBER}) ({STATES})")]),
            states((1, "Active", GREEN), (2, "Partial", ORANGE), (3, "Outage", RED), (4, "Unknown", GREY)),
            alerts=["ExotelExophoneOutage", "ExotelExophoneDegraded"],
        ),
    ),
    (
        12,
        timeline(
            "By push",
            "What heartbeats said of each number and direction. Empty: none expected, or none for three intervals.",
            queries([("{{exophone}} {{direction}}", f"max by ({NUMBER}) ({AFFECTED})")]),
            states((0, "Not affected", GREEN), (1, "Affected", RED)),
            alerts=["ExotelExophoneOutage", "ExotelHeartbeatMissing"],
        ),
    ),
)
BOARD.line(
    8,
    (
        8,
        series(
            "Changes of state",
            "Transitions by poll within an hour, both directions together. Above the line a route is unstable.",
            queries([("{{exophone}}", total(grew(CHANGES), "account, exophone"))]),
            thresholds=above("ExotelExophoneFlapping"),
            soft_max=8,
            alerts=["ExotelExophoneFlapping"],
        ),
    ),
    (
        8,
        series(
            "Health polls by verdict",
            "Polls within an hour by what they found: all well, some number down, all down, or no answer.",
            queries([("{{status}}", total(grew(of("exotel_health_checks_total", ACCOUNT)), "status") + " > 0")]),
            stacked=True,
            overrides=[named("OK", "#37872d"), named("WARNING", ORANGE), named("CRITICAL", RED), named("ERROR", GREY)],
        ),
    ),
    (
        8,
        series(
            "Silence",
            "Time since the last complete poll and the last heartbeat, in intervals as configured and less a minute for the age of a scrape. Heartbeats alarm after 3, polls after 10.",
            queries(
                [
                    ("poll, {{account}}", HEALTH_OVERDUE),
                    (
                        "heartbeat, {{account}}",
                        f"max by (account) (clamp_min(time() - max by (job, instance, account) ({HEARTBEAT}) - 60, 0)"
                        f" / max by (job, instance, account) ({of('exotel_heartbeat_expected_interval_seconds', ACCOUNT)}))",
                    ),
                ]
            ),
            thresholds=[(None, GREEN), (3, ORANGE), (10, RED)],
            soft_max=4,
            alerts=["ExotelHealthPollStalled", "ExotelHeartbeatMissing"],
        ),
    ),
)

BOARD.row("Numbers")
BOARD.line(
    10,
    (
        16,
        table(
            "Numbers now",
            "Each number: reachable in both directions by poll or push, whether its outage pages, the age of Exotel's own last check, "
            "availability by poll over 30 days, calls and answer ratio of the last hour.",
            [
                ("Incoming", f"min by (account, exophone) ({reachable('inbound')})"),
                ("Outgoing", f"min by (account, exophone) ({reachable('outbound')})"),
                ("Pages", f"max by (account, exophone) ({of('exotel_exophone_paging', EXOPHONE)})"),
                ("Checked", f"max by (account, exophone) (time() - {CHECKED})"),
                ("Up, 30 d", f"avg by (account, exophone) (avg_over_time({UP}[30d]))"),
                ("Calls, 1 h", total(grew(calls()), "account, exophone")),
                ("Answered", answered(by="account, exophone")),
            ],
            order=["account", "exophone"],
            sort="Calls, 1 h",
            overrides=[
                *(
                    column(
                        heading,
                        mappings=states((1, "up", GREEN), (0, "DOWN", RED)),
                        thresholds=steps([(None, GREY), (0, RED), (1, GREEN)]),
                        custom__cellOptions=TINTED,
                    )
                    for heading in ("Incoming", "Outgoing")
                ),
                column("Pages", mappings=states((1, "yes", BLUE), (0, "no", GREY))),
                column("Checked", unit="s", decimals=0),
                column("Up, 30 d", unit="percentunit", decimals=2),
                column("Calls, 1 h", decimals=0),
                column("Answered", unit="percentunit", decimals=0),
            ],
        ),
    ),
    (
        8,
        bars(
            "Least available, 30 days",
            "Share of the last 30 days in which a number was up by poll, the worse direction; the ten worst. Absent while we were blind.",
            queries([("{{exophone}}", f"bottomk(10, min by (exophone) (avg_over_time({UP}[30d])))")], instant=True),
            unit="percentunit",
            decimals=2,
            max=1,
        ),
    ),
)
BOARD.line(
    8,
    (
        16,
        table(
            "Ids",
            "The id that Exotel gives each number, for its dashboard and API.",
            [("Known", f"max by (account, exophone, sid) ({of('exotel_exophone_info', EXOPHONE)})")],
            order=["account", "exophone", "sid"],
            hidden=["Value"],
        ),
    ),
    (
        8,
        series(
            "Age of checks and answers",
            "How long ago Exotel itself last checked a number, and how long ago it last answered a poll of one; the oldest of each "
            "account. Old ones say little about now.",
            queries(
                [
                    ("check, {{account}}", f"max by (account) (time() - {CHECKED})"),
                    ("answer, {{account}}", f"max by (account) (time() - {LAST_ANSWER})"),
                ]
            ),
            unit="s",
        ),
    ),
)
