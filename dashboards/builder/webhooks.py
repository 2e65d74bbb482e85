"""Do callbacks arrive, all of them, in time; and do push and poll agree?"""

from .alerts import BLUE, GREEN, GREY, ORANGE, RED, above
from .board import Board
from .common import banner
from .panels import named, queries, ratio_sample, sample, series, stat
from .queries import ACCOUNT, PROGRAM, age, day, grew, of, per_second, quantile, share, total

BOARD = Board(
    "exotel-webhooks",
    "Exotel / Webhooks and reconciliation",
    "Callbacks: how many come, how fast they are taken in, how many are lost. Reconciliation: what callbacks and the API said of the "
    "same calls, and what Exotel's own totals say of ours.",
    by_exophone=False,
)

REQUESTS = "exotel_webhook_requests_total"
EXPECTED = of("exotel_webhook_calls_expected_total", ACCOUNT)
LOST = of("exotel_webhook_calls_missed_total", ACCOUNT)
UNCONFIRMED = of("exotel_webhook_calls_unconfirmed_total", ACCOUNT)
HANDLING = of("exotel_webhook_handling_duration_seconds_bucket", PROGRAM)
MISMATCHES = of("exotel_reconcile_mismatches_total", ACCOUNT)
SEEN = of("exotel_reconcile_calls_total", ACCOUNT)
RUNNING = of("exotel_call_events_total", ACCOUNT, 'event!="terminal"')
ENDS = of("exotel_call_events_total", ACCOUNT, 'event="terminal"')
AUDITED = "exotel_sync_audited_windows_total"
FOUND = of("exotel_sync_audit_found_calls_total", ACCOUNT)
LAST = "exotel_webhook_last_received_timestamp_seconds"
SETTLED = of("exotel_calls_total", ACCOUNT)
SETTLE = of("exotel_call_settle_delay_seconds_bucket", ACCOUNT)

LOST_SHARE = share(total(grew(LOST, "6h")), total(grew(EXPECTED, "6h")))
DRIFT = share(total(grew(MISMATCHES, "6h")), total(grew(SETTLED, "6h")))


def p(q):
    """A quantile of the handling time over ten minutes, the worst kind."""
    return f"max(histogram_quantile({q}, sum by (le, kind) (increase({HANDLING}[10m]))) >= 0)"


banner(
    BOARD,
    own=stat(
        "Since the last callback",
        "How long ago the newest accepted callback of any kind came.",
        queries([("{{account}}", age(of(LAST, ACCOUNT), "min"))], instant=True),
        unit="s",
        decimals=0,
        names=True,
        no_value="never",
        alerts=["ExotelCallbacksMissing"],
    ),
)

BOARD.line(
    5,
    (
        4,
        stat(
            "Lost callbacks",
            "Calls that should have brought a callback and had none 25 minutes after their end, over those expected, six hours.",
            queries([("lost", LOST_SHARE), ("expected, 6 h", total(grew(EXPECTED, "6h")))], instant=True),
            unit="percentunit",
            decimals=1,
            no_value="none expected",
            thresholds=above("ExotelCallbacksLost"),
            alerts=["ExotelCallbacksLost", "ExotelCallbacksMissing"],
            overrides=[sample("expected, 6 h")],
            size=30,
        ),
    ),
    (
        4,
        stat(
            "Push and poll differ",
            "Differences between callback and API over settled calls, six hours.",
            queries([("differ", DRIFT), ("calls, 6 h", total(grew(SETTLED, "6h")))], instant=True),
            unit="percentunit",
            decimals=2,
            no_value="no calls",
            thresholds=above("ExotelReconcileDrift"),
            alerts=["ExotelReconcileDrift"],
            overrides=[sample("calls, 6 h")],
            size=30,
        ),
    ),
    (
        4,
        stat(
            "Refused, 15 min",
            "Callbacks with a wrong secret: one was rotated on one side only, or somebody probes. The alert also fires when nothing else comes.",
            queries([("unauthorized", total(grew(of(REQUESTS, ACCOUNT, 'outcome="unauthorized"'), "15m")))], instant=True),
            decimals=0,
            no_value="no callbacks",
            thresholds=above("ExotelWebhookRejected"),
            alerts=["ExotelWebhookRejected"],
        ),
    ),
    (
        4,
        stat(
            "Slowest replies",
            "99th percentile of the time until a callback was answered, ten minutes, the slowest kind. Exotel gives up at 15 s.",
            queries([("99 %", p(0.99))], instant=True),
            unit="s",
            no_value="no callbacks",
            thresholds=above("ExotelWebhookSlow"),
            alerts=["ExotelWebhookSlow"],
        ),
    ),
    (
        4,
        stat(
            "Unconfirmed, 24 h",
            "Calls that only callbacks named and the API did not know for six hours. They are kept and counted nowhere else.",
            queries([("calls", total(day(UNCONFIRMED)))], instant=True),
            decimals=0,
            no_value="no callbacks",
        ),
    ),
    (
        4,
        stat(
            "Found by audit, 24 h",
            "Calls that only the comparison with Exotel's own hourly totals found.",
            queries([("calls", total(day(FOUND)))], instant=True),
            decimals=0,
            thresholds=[(None, GREEN), (1, ORANGE)],
            alerts=["ExotelAuditDifference"],
        ),
    ),
)

BOARD.row("Callbacks")
BOARD.line(
    8,
    (
        8,
        series(
            "Callbacks by kind",
            "Accepted callbacks each second.",
            queries([("{{kind}}", total(per_second(of(REQUESTS, ACCOUNT, 'outcome="accepted"')), "kind"))]),
            unit="reqps",
            stacked=True,
        ),
    ),
    (
        8,
        series(
            "Callbacks not taken in",
            "What else came within 15 minutes: repeats and late ones are harmless, the rest is not.",
            queries([("{{outcome}}", total(grew(of(REQUESTS, ACCOUNT, 'outcome!="accepted"'), "15m"), "outcome") + " > 0")]),
            overrides=[named("unauthorized", RED), named("error", "#8f1d2c"), named("duplicate", GREY), named("stale", "#b7b7b7")],
            alerts=["ExotelWebhookRejected"],
        ),
    ),
    (
        8,
        series(
            "Time until the reply",
            "Median and 99th percentile over ten minutes, the slowest kind. Exotel gives up at 15 s.",
            queries([("median", p(0.5)), ("99 %", p(0.99))]),
            unit="s",
            thresholds=above("ExotelWebhookSlow"),
            alerts=["ExotelWebhookSlow"],
        ),
    ),
)
BOARD.line(
    8,
    (
        8,
        series(
            "Lost callbacks",
            "Lost over expected, six hours, beside how many were expected.",
            queries([("lost", LOST_SHARE), ("expected, 6 h", total(grew(EXPECTED, "6h")))]),
            unit="percentunit",
            soft_max=0.1,
            thresholds=above("ExotelCallbacksLost"),
            overrides=[ratio_sample("expected, 6 h"), named("lost", "#fa6400")],
            alerts=["ExotelCallbacksLost"],
        ),
    ),
    (
        8,
        series(
            "Silence by kind",
            "Time since the last accepted callback of each kind, the worst account.",
            queries([("{{kind}}", f"max by (kind) (time() - {of(LAST, ACCOUNT)})")]),
            unit="s",
            alerts=["ExotelHeartbeatMissing", "ExotelCallbacksMissing"],
        ),
    ),
    (
        8,
        series(
            "Call events",
            "Call callbacks within an hour by event, ends by status, once for each call: provisional, and at once.",
            queries(
                [
                    ("{{event}}", total(grew(RUNNING), "event") + " > 0"),
                    ("end: {{status}}", total(grew(ENDS), "status") + " > 0"),
                ]
            ),
            stacked=True,
        ),
    ),
)

BOARD.row("Reconciliation")
BOARD.line(
    8,
    (
        8,
        series(
            "Settled calls by who reported them",
            "Within an hour, by what had been heard when the call settled: the API, callbacks, or both.",
            queries([("{{seen}}", total(grew(SEEN), "seen"))]),
            stacked=True,
            overrides=[named("both", "#37872d"), named("api", BLUE), named("webhook", ORANGE)],
        ),
    ),
    (
        8,
        series(
            "Differences by field",
            "Within an hour: fields of which callback and API said different things.",
            queries([("{{field}}", total(grew(MISMATCHES), "field"))]),
            alerts=["ExotelReconcileDrift"],
        ),
    ),
    (
        8,
        series(
            "Push and poll differ",
            "Differences over settled calls, six hours, beside how many calls those are.",
            queries([("differ", DRIFT), ("calls, 6 h", total(grew(SETTLED, "6h")))]),
            unit="percentunit",
            soft_max=0.04,
            thresholds=above("ExotelReconcileDrift"),
            overrides=[ratio_sample("calls, 6 h"), named("differ", "#fa6400")],
            alerts=["ExotelReconcileDrift"],
        ),
    ),
)
BOARD.line(
    8,
    (
        8,
        series(
            "Hours compared with Exotel's total",
            "Closed windows audited within six hours: equal, repaired, or failed.",
            queries([("{{result}}", total(grew(of(AUDITED, ACCOUNT), "6h"), "result"))]),
            stacked=True,
            overrides=[named("equal", "#37872d"), named("repaired", ORANGE), named("failed", RED)],
            alerts=["ExotelAuditDifference"],
        ),
    ),
    (
        8,
        series(
            "Found only by audit",
            "Calls that only the audit found, over new rows, six hours; beside how many those are.",
            queries(
                [
                    ("found", share(total(grew(FOUND, "6h")), total(grew(of("exotel_sync_records_total", ACCOUNT, 'result="new"'), "6h")))),
                    ("new rows, 6 h", total(grew(of("exotel_sync_records_total", ACCOUNT, 'result="new"'), "6h"))),
                ]
            ),
            unit="percentunit",
            soft_max=0.02,
            thresholds=above("ExotelAuditDifference"),
            overrides=[ratio_sample("new rows, 6 h"), named("found", "#fa6400")],
            alerts=["ExotelAuditDifference"],
        ),
    ),
    (
        8,
        series(
            "Delay until a call counts",
            "From a call's end until it was counted, over an hour.",
            queries([("median", quantile(0.5, SETTLE)), ("95 %", quantile(0.95, SETTLE))]),
            unit="s",
        ),
    ),
)
