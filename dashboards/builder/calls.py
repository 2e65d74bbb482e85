"""How calls fare: answered, how long, how many, by direction and ExoPhone, against last week."""

from . import calls_counted
from .alerts import BLUE, GREEN, LIMITS, above, below_complement
from .board import Board
from .common import CALLS_BY_DIRECTION, CALLS_BY_OUTCOME, OUTCOMES, banner, palette
from .panels import TINTED, bars, column, dashed, named, queries, ratio_sample, sample, series, stat, steps, table
from .queries import ACCOUNT, ANSWERED, EXOPHONE, INBOUND, KNOWN, OUTBOUND, RANG
from .queries import answered, calls, day, grew, known_calls, of, outcomes, quantile, share, total

BOARD = Board(
    "exotel-calls",
    "Exotel / Calls",
    "Answer ratio, network effectiveness, talk time, abandonment, short calls and concurrency. Calls count when they are settled, "
    "minutes after their end; every ratio is over the hour before and stands beside the number of calls it rests on.",
    time="now-24h",
)

TALK = of("exotel_call_conversation_duration_seconds_bucket", ACCOUNT)
TALK_COUNT = of("exotel_call_conversation_duration_seconds_count", ACCOUNT)
TALK_SUM = of("exotel_call_conversation_duration_seconds_sum", ACCOUNT)
SETUP = of("exotel_call_setup_duration_seconds_bucket", ACCOUNT)
ANSWER_DELAY = of("exotel_call_answer_delay_seconds_bucket", ACCOUNT)
SHORT = of("exotel_calls_short_total", EXOPHONE)
SECONDS = of("exotel_call_seconds_total", EXOPHONE)
TALK_SECONDS = of("exotel_call_conversation_seconds_total", EXOPHONE)

CHANNELS = f"sum(max by (account) ({of('exotel_account_channel_limit', ACCOUNT)}))"

NER = "1 - " + share(total(grew(calls('status="failed"'))), total(grew(calls())))
ACD = share(total(grew(TALK_SUM)), total(grew(TALK_COUNT)))
ABANDONED = share(total(grew(outcomes(INBOUND, 'outcome="abandoned"'))), total(grew(outcomes(INBOUND, KNOWN))))
MISSED = share(total(grew(outcomes(INBOUND, 'outcome="missed"'))), total(grew(outcomes(INBOUND, RANG))))
SHORT_SHARE = share(total(grew(SHORT)), total(grew(outcomes(ANSWERED))))

banner(BOARD)


def kpi(title, description, ratio, whole, of_what, **more):
    """A share of the last hour beside what it rests on."""
    pairs = [(more.pop("name", "of the last hour"), ratio), (of_what, whole)]
    more = {"unit": "percentunit", "decimals": 1, "no_value": "no calls", **more}
    return stat(title, description, queries(pairs, instant=True), overrides=[sample(of_what)], size=32, **more)


BOARD.line(
    5,
    (
        4,
        kpi(
            "Inbound answered",
            "ASR of inbound calls: answered by a person over all whose outcome is known.",
            answered(INBOUND),
            known_calls(INBOUND),
            "calls, 1 h",
            name="answered",
            alerts=["ExotelAnswerRatioDrop"],
        ),
    ),
    (
        4,
        kpi(
            "Outbound answered",
            "ASR of outbound calls: the called side answered, over all whose outcome is known.",
            answered(OUTBOUND),
            known_calls(OUTBOUND),
            "calls, 1 h",
            name="answered",
            alerts=["ExotelAnswerRatioDrop"],
        ),
    ),
    (
        4,
        kpi(
            "Network effectiveness",
            "NER: one minus failed over all calls. Busy and unanswered calls are no failure of the network.",
            NER,
            total(grew(calls())),
            "calls, 1 h",
            name="NER",
            thresholds=below_complement("ExotelCallFailureBurn"),
            alerts=["ExotelCallFailureBurn"],
        ),
    ),
    (
        4,
        kpi(
            "Talk time",
            "ACD: conversation of answered calls in the mean; ringing, menus and queues are not in it. Not by ExoPhone.",
            ACD,
            total(grew(TALK_COUNT)),
            "with talk, 1 h",
            name="mean",
            unit="s",
        ),
    ),
    (
        4,
        kpi(
            "Abandoned",
            "Inbound callers who left while it rang, over inbound calls whose outcome is known.",
            ABANDONED,
            total(grew(outcomes(INBOUND, KNOWN))),
            "calls, 1 h",
            name="abandoned",
            thresholds=above("ExotelAbandonHigh"),
            alerts=["ExotelAbandonHigh"],
        ),
    ),
    (
        4,
        kpi(
            "Short calls",
            "Answered calls shorter than sync.short_call, over answered ones: one-way audio, false answers, spam marking.",
            SHORT_SHARE,
            total(grew(outcomes(ANSWERED))),
            "answered, 1 h",
            name="short",
            thresholds=above("ExotelShortCallsHigh"),
            alerts=["ExotelShortCallsHigh"],
        ),
    ),
)

BOARD.row("Traffic")
BOARD.line(9, (12, CALLS_BY_OUTCOME), (12, CALLS_BY_DIRECTION))
BOARD.line(
    8,
    (
        8,
        series(
            "Answer ratio by direction",
            "ASR: answered over calls whose outcome is known, each direction for itself.",
            queries([("{{direction}}", answered(by="direction")), ("calls, 1 h", total(grew(outcomes(KNOWN))))]),
            unit="percentunit",
            soft_max=1,
            overrides=[ratio_sample("calls, 1 h")],
            alerts=["ExotelAnswerRatioDrop"],
        ),
    ),
    (
        8,
        series(
            "Inbound answered, and a week before",
            "ASR of inbound calls against the same hour a week before. The alert wants a fall below seven tenths of it.",
            queries(
                [
                    ("now", answered(INBOUND)),
                    ("calls, 1 h", known_calls(INBOUND)),
                    ("week before", answered(INBOUND, offset="1w")),
                ]
            ),
            unit="percentunit",
            soft_max=1,
            overrides=[ratio_sample("calls, 1 h"), dashed("week before"), named("now", GREEN)],
            alerts=["ExotelAnswerRatioDrop"],
        ),
    ),
    (
        8,
        series(
            "Failed calls",
            "One minus NER: calls with status failed over all calls, beside how many those are.",
            queries(
                [
                    ("failed", share(total(grew(calls('status="failed"'))), total(grew(calls())))),
                    ("calls, 1 h", total(grew(calls()))),
                ]
            ),
            unit="percentunit",
            soft_max=0.2,
            thresholds=above("ExotelCallFailureBurn"),
            overrides=[ratio_sample("calls, 1 h"), named("failed", "#e02f44")],
            alerts=["ExotelCallFailureBurn"],
        ),
    ),
)

BOARD.row("Callers and agents")
BOARD.line(
    8,
    (
        6,
        series(
            "Abandoned",
            "Inbound callers who left while it rang, over inbound calls whose outcome is known, beside how many those are.",
            queries([("abandoned", ABANDONED), ("calls, 1 h", total(grew(outcomes(INBOUND, KNOWN))))]),
            unit="percentunit",
            soft_max=0.3,
            thresholds=above("ExotelAbandonHigh"),
            overrides=[ratio_sample("calls, 1 h"), *palette(OUTCOMES)],
            alerts=["ExotelAbandonHigh"],
        ),
    ),
    (
        6,
        series(
            "Missed by agents",
            "Inbound calls that rang and that nobody took, over inbound calls that rang, beside how many those are.",
            queries([("missed", MISSED), ("rang, 1 h", total(grew(outcomes(INBOUND, RANG))))]),
            unit="percentunit",
            soft_max=0.3,
            overrides=[ratio_sample("rang, 1 h"), *palette(OUTCOMES)],
        ),
    ),
    (
        6,
        series(
            "Short calls",
            "Answered calls shorter than sync.short_call over answered calls, beside how many those are.",
            queries([("short", SHORT_SHARE), ("answered, 1 h", total(grew(outcomes(ANSWERED))))]),
            unit="percentunit",
            soft_max=0.3,
            thresholds=above("ExotelShortCallsHigh"),
            overrides=[ratio_sample("answered, 1 h"), named("short", "#fa6400")],
            alerts=["ExotelShortCallsHigh"],
        ),
    ),
    (
        6,
        series(
            "Concurrent calls",
            "The mean number of calls at once over an hour (Erlang), which hides peaks; calls in progress by callbacks; dashed the "
            "channels bought, where configured, and eight tenths of them, where the alert stands.",
            queries(
                [
                    ("mean, 1 h", total(grew(SECONDS)) + " / 3600"),
                    ("in progress", total(of("exotel_calls_in_progress", ACCOUNT))),
                    ("channels", CHANNELS),
                    ("80 % of channels", f"{LIMITS['ExotelConcurrencyHigh'][1]} * {CHANNELS}"),
                ]
            ),
            overrides=[dashed("channels", "80 % of channels"), named("mean, 1 h", BLUE)],
            alerts=["ExotelConcurrencyHigh"],
        ),
    ),
)
BOARD.line(
    8,
    (
        8,
        series(
            "Talk time",
            "Conversation of answered calls over an hour: median, 95th percentile and mean.",
            queries([("median", quantile(0.5, TALK)), ("95 %", quantile(0.95, TALK)), ("mean", ACD)]),
            unit="s",
        ),
    ),
    (
        8,
        series(
            "Setup time",
            "Duration minus conversation of answered calls: ringing, menus and queue together. It is not the post-dial delay, "
            "which these records do not tell.",
            queries([("median", quantile(0.5, SETUP)), ("95 %", quantile(0.95, SETUP)), ("95 % until answered, by callbacks", quantile(0.95, ANSWER_DELAY))]),
            unit="s",
        ),
    ),
    (
        8,
        series(
            "Time without talk",
            "Share of call time that is no conversation: ringing, menus, queues. Beside it the call time, in minutes.",
            queries(
                [
                    ("without talk", "1 - " + share(total(grew(TALK_SECONDS)), total(grew(SECONDS)))),
                    ("call minutes, 1 h", total(grew(SECONDS)) + " / 60"),
                ]
            ),
            unit="percentunit",
            soft_max=1,
            overrides=[ratio_sample("call minutes, 1 h")],
        ),
    ),
)

BOARD.row("By ExoPhone")
BY = "exophone"
BOARD.line(
    9,
    (
        16,
        table(
            "ExoPhones, last hour",
            "Each number: calls, answered share of calls whose outcome is known, failed, short calls, and the exact number of calls of the "
            "last 24 hours. A share without calls is empty.",
            [
                ("Calls, 24 h", total(day(calls()), BY)),
                ("Calls, 1 h", total(grew(calls()), BY)),
                ("Answered", answered(by=BY)),
                ("Failed", share(total(grew(calls('status="failed"')), BY), total(grew(calls()), BY))),
                ("Short", share(total(grew(SHORT), BY), total(grew(outcomes(ANSWERED)), BY))),
                ("Talk, 24 h", total(day(TALK_SECONDS), BY)),
            ],
            order=[BY],
            hidden=[],
            sort="Calls, 24 h",
            overrides=[
                column("Calls, 24 h", unit="locale", decimals=0),
                column("Calls, 1 h", decimals=0),
                column("Answered", unit="percentunit", decimals=0),
                column(
                    "Failed",
                    unit="percentunit",
                    decimals=1,
                    thresholds=steps(above("ExotelCallFailureBurn")),
                    custom__cellOptions=TINTED,
                ),
                column(
                    "Short",
                    unit="percentunit",
                    decimals=1,
                    thresholds=steps(above("ExotelShortCallsHigh")),
                    custom__cellOptions=TINTED,
                ),
                column("Talk, 24 h", unit="dtdurations", decimals=0),
            ],
            alerts=["ExotelCallFailureBurn", "ExotelShortCallsHigh"],
        ),
    ),
    (
        8,
        bars(
            "Busiest numbers, last hour",
            "Calls of the ten busiest ExoPhones. unknown: a number on no list; _other: beyond limits.exophones.",
            queries([("{{exophone}}", f"topk(10, {total(grew(calls()), BY)} > 0)")], instant=True),
            decimals=0,
        ),
    ),
)

calls_counted.add(BOARD)
