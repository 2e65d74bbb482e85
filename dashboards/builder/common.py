"""What stands on every board: the banner that says how far its figures can be trusted, and the colours of outcomes."""

from .alerts import GREEN, GREY, LIMITS, ORANGE, RED, any_at_all
from .panels import dashed, named, override, queries, ranges, series, stat, steps
from .queries import ACCOUNT, HEALTH_OVERDUE, SYNC_OVERDUE, age, calls, else_value, firing_count, grew, of, outcomes, total

# From green for what worked to red for what was lost; the same on every board.
OUTCOMES = [
    ("answered", "#37872d"),
    ("not_connected", "#5794f2"),
    ("no_answer", "#fade2a"),
    ("agent_unanswered", "#ff9830"),
    ("missed", "#fa6400"),
    ("abandoned", "#e02f44"),
    ("busy", "#b877d9"),
    ("failed", "#8f1d2c"),
    ("canceled", "#8ab8ff"),
    ("unknown", GREY),
]

STATUSES = [
    ("completed", "#37872d"),
    ("no-answer", "#fade2a"),
    ("busy", "#b877d9"),
    ("canceled", "#8ab8ff"),
    ("failed", "#e02f44"),
    ("other", GREY),
]


DIRECTIONS = ["inbound", "outbound-dial", "outbound-api", "other"]


def palette(pairs):
    """Overrides that give each legend its colour."""
    return [named(name, color) for name, color in pairs]


# One is the point at which ExotelSyncStalled or ExotelHealthPollStalled counts us as blind.
BLINDNESS = (
    f'max by (account) (label_replace({SYNC_OVERDUE} / {LIMITS["ExotelSyncStalled"][1]}, "of", "sync", "", "")'
    f' or label_replace({HEALTH_OVERDUE} / {LIMITS["ExotelHealthPollStalled"][1]}, "of", "health", "", ""))'
) + else_value(1)
SIGHT = ranges((None, 0.66, "SEEING", GREEN), (0.66, 0.999, "LATE", ORANGE), (0.999, None, "BLIND", RED))

BLIND = stat(
    "Are we blind?",
    "SEEING: calls and ExoPhone health are read as often as configured. LATE: two runs were missed. BLIND: three sync "
    "runs or ten health polls were missed for a minute, or nothing is scraped; then no other figure here says anything.",
    queries([("{{account}}", BLINDNESS)], instant=True),
    mappings=SIGHT,
    thresholds=[(None, GREEN), (0.66, ORANGE), (0.999, RED)],
    alerts=["ExotelSyncStalled", "ExotelHealthPollStalled"],
    filled=True,
    names=True,
    decimals=2,
)

FRESH = stat(
    "Age of call data",
    "How long ago the newest calls that have been read were created. Calls are listed only after their end and are left to settle, "
    "so up to half an hour is normal; figures about calls say nothing of what came later.",
    queries([("{{account}}", age(of("exotel_sync_head_timestamp_seconds", ACCOUNT)))], instant=True),
    unit="s",
    decimals=0,
    no_value="never",
    names=True,
)

FINAL = stat(
    "Age of final data",
    "The watermark: every call created before it is read and will not change any more. It honestly trails by the look-back, four hours "
    "and twenty minutes by default.",
    queries([("{{account}}", age(of("exotel_sync_watermark_timestamp_seconds", ACCOUNT)))], instant=True),
    unit="s",
    decimals=1,
    no_value="never",
    names=True,
)

FIRING = stat(
    "Alerts firing",
    "Alerts of this project that fire now, those of other accounts and agents included. Which: on the overview. Without the rules in alerts/ nothing can fire.",
    queries(
        [(severity, firing_count(severity)) for severity in ("critical", "warning")],
        instant=True,
    ),
    no_value="no rules",
    thresholds=any_at_all(RED),
    overrides=[override(["warning"], thresholds=steps(any_at_all(ORANGE)))],
)


CALLS_BY_OUTCOME = series(
    "Calls by outcome",
    "Settled calls within the hour before each point, by what became of them. not_connected: the flow ended before anybody was dialled.",
    queries([("{{outcome}}", total(grew(outcomes()), "outcome") + " > 0")]),
    overrides=palette(OUTCOMES),
    stacked=True,
)

CALLS_BY_DIRECTION = series(
    "Calls by direction, and a week before",
    "Settled calls within the hour before each point; dashed the same hour a week before.",
    queries(
        [
            ("{{direction}}", total(grew(calls()), "direction") + " > 0"),
            ("{{direction}}, week before", total(grew(calls(), offset="1w"), "direction") + " > 0"),
        ]
    ),
    overrides=[dashed(*(f"{direction}, week before" for direction in DIRECTIONS))],
    alerts=["ExotelCallsStopped"],
)


def banner(board, *, own=None):
    """The line at the top of a board; `own` takes the place of the watermark."""
    board.line(4, (6, BLIND), (6, FRESH), (6, own or FINAL), (6, FIRING))
