"""The agent itself: does it run, what does it ask of Exotel, does the budget hold, is the store well?"""

from . import exporter_inside
from .alerts import BLUE, GREEN, ORANGE, RED, above
from .board import Board
from .common import banner
from .panels import column, dashed, named, override, queries, ratio_sample, series, stat, states, steps, table
from .queries import ACCOUNT, PROGRAM, SYNC_OVERDUE
from .queries import grew, of, per_second, quantile, share, total

BOARD = Board(
    "exotel-exporter",
    "Exotel / Exporter and API budget",
    "The agent's own health: requests and their limit, the reading of calls, the store, the process. Look here when the other boards "
    "say LATE or BLIND.",
    time="now-6h",
    by_exophone=False,
)

POOLS = ["voice", "exophones", "sms"]

BUILD = of("exotel_exporter_build_info", PROGRAM)
REQUESTS = of("exotel_api_requests_total", ACCOUNT)
FAILURES = of("exotel_api_request_failures_total", ACCOUNT)
ABANDONED = of("exotel_api_operations_abandoned_total", ACCOUNT)
LATENCY = of("exotel_api_request_duration_seconds_bucket", ACCOUNT)
WAIT = of("exotel_api_throttle_wait_seconds_bucket", ACCOUNT, 'priority=~"health|settle|sync"')
WAIT_ALL = of("exotel_api_throttle_wait_seconds_bucket", ACCOUNT)
QUOTA = of("exotel_api_quota_requests", ACCOUNT)
REMAINING = of("exotel_api_quota_remaining_requests", ACCOUNT)
STORE_SIZE = of("exotel_store_size_bytes", PROGRAM)
STORE_LIMIT = of("exotel_store_size_limit_bytes", PROGRAM)
AVAIL = of("exotel_store_filesystem_avail_bytes", PROGRAM)
DISK = of("exotel_store_filesystem_size_bytes", PROGRAM)
STARTED = of("process_start_time_seconds", PROGRAM)


def failure_ratio(window):
    """Failed over all attempts, by account; as the recording rules of the alerts reckon it."""
    return share(
        f"sum by (account) (increase({FAILURES}[{window}]))",
        f"sum by (account) (increase({REQUESTS}[{window}]))",
    )


banner(BOARD)

BOARD.line(
    4,
    (
        4,
        stat(
            "Agents",
            "Scraped with success, out of those that were there within the last day.",
            queries(
                [
                    ("up", f"count({of('exotel_exporter_ready', PROGRAM)} == 1) or vector(0)"),
                    ("seen in a day", f"count(count by (job, instance) (last_over_time({BUILD}[1d])))"),
                ],
                instant=True,
            ),
            thresholds=[(None, RED), (1, GREEN)],
            alerts=["ExotelExporterDown", "ExotelExporterAbsent"],
        ),
    ),
    (
        4,
        stat(
            "Exotel answers",
            "NO: the newest finished cycle of every kind failed. REFUSED: Exotel does not accept the API key.",
            queries(
                [
                    (
                        "{{account}}",
                        f"min by (account) ({of('exotel_up', ACCOUNT)}) - 2 * (1 - min by (account) ({of('exotel_api_auth_ok', ACCOUNT)}))",
                    )
                ],
                instant=True,
            ),
            mappings=states((1, "YES", GREEN), (0, "NO", RED), (-1, "REFUSED", RED), (-2, "REFUSED", RED)),
            thresholds=[(None, RED), (1, GREEN)],
            no_value="NO DATA",
            filled=True,
            names=True,
            alerts=["ExotelApiDown", "ExotelAuthFailing", "ExotelAccountBlocked"],
        ),
    ),
    (
        4,
        stat(
            "Missed sync runs",
            "Time since the last successful run, in intervals, a minute for scraping left out; the worst account. From 3 on the alert fires.",
            queries([("intervals", f"max({SYNC_OVERDUE})")], instant=True),
            decimals=1,
            thresholds=above("ExotelSyncStalled"),
            alerts=["ExotelSyncStalled"],
        ),
    ),
    (
        4,
        stat(
            "Store used",
            "Size of the store over store.max_size, where that is set, and how full its disk is; the worst agent.",
            queries(
                [
                    ("of its limit", f"max({STORE_SIZE} / {STORE_LIMIT})"),
                    ("of its disk", f"1 - min({AVAIL} / {DISK})"),
                ],
                instant=True,
            ),
            unit="percentunit",
            decimals=0,
            thresholds=above("ExotelStoreFilling"),
            # The same alert also fires when its disk is nine tenths full.
            overrides=[override(["of its disk"], thresholds=steps([(None, GREEN), (0.9, ORANGE)]))],
            size=26,
            alerts=["ExotelStoreFilling"],
        ),
    ),
    (
        4,
        stat(
            "Restarts, 1 h",
            "Starts of the process within an hour, the worst agent.",
            queries([("restarts", f"max(changes({STARTED}[1h]) and on (job, instance) {BUILD})")], instant=True),
            decimals=0,
            thresholds=above("ExotelExporterRestarting"),
            alerts=["ExotelExporterRestarting"],
        ),
    ),
    (
        4,
        stat(
            "Configuration",
            "Whether the last attempt to load the configuration was applied; if not, the old one still runs.",
            queries([("applied", f"min({of('exotel_exporter_config_last_reload_successful', PROGRAM)})")], instant=True),
            mappings=states((1, "APPLIED", GREEN), (0, "REFUSED", ORANGE)),
            thresholds=[(None, ORANGE), (1, GREEN)],
            no_value="NO DATA",
            filled=True,
            alerts=["ExotelConfigReloadFailed"],
        ),
    ),
)

BOARD.row("Requests to Exotel")
BOARD.line(
    8,
    (
        8,
        series(
            "Requests by endpoint",
            "Attempts each second, retries included.",
            queries([("{{endpoint}}", total(per_second(REQUESTS), "endpoint"))]),
            unit="reqps",
            stacked=True,
        ),
    ),
    (
        8,
        series(
            "Failed requests",
            "Failed attempts within 15 minutes by reason, and reads given up after every retry. Throttled ones mean that limiter and quota disagree.",
            queries(
                [
                    ("all", total(grew(FAILURES, "15m"))),
                    ("{{reason}}", total(grew(FAILURES, "15m"), "reason") + " > 0"),
                    ("given up: {{endpoint}}", total(grew(ABANDONED, "15m"), "endpoint") + " > 0"),
                ]
            ),
            thresholds=above("ExotelApiThrottled"),
            soft_max=6,
            alerts=["ExotelApiThrottled", "ExotelAccountBlocked"],
        ),
    ),
    (
        8,
        series(
            "Failure ratio",
            "Failed over all attempts, over one hour and five minutes: the pair that pages when both are above 14.4 times the budget of 1 %.",
            queries(
                [
                    ("{{account}}, 1 h", failure_ratio("1h")),
                    ("attempts, 1 h", f"sum(increase({REQUESTS}[1h]))"),
                    ("{{account}}, 5 min", failure_ratio("5m")),
                ]
            ),
            unit="percentunit",
            soft_max=0.2,
            thresholds=above("ExotelApiErrorBudgetBurn"),
            overrides=[ratio_sample("attempts, 1 h")],
            alerts=["ExotelApiErrorBudgetBurn"],
        ),
    ),
)
BOARD.line(
    8,
    (
        8,
        series(
            "Budget used",
            "Requests within a minute, and what Exotel says remains. Dashed: the number allowed now by pool, as configured, or lower where Exotel said so.",
            queries(
                [
                    ("requests, 1 min", f"sum by (account) (rate({REQUESTS}[$__rate_interval])) * 60"),
                    ("allowed, {{pool}}", f"max by (account, pool) ({QUOTA})"),
                    ("remaining, {{pool}}", f"min by (account, pool) ({REMAINING})"),
                ]
            ),
            overrides=[dashed(*(f"allowed, {pool}" for pool in POOLS)), named("requests, 1 min", BLUE)],
            alerts=["ExotelRateBudgetSaturated", "ExotelApiThrottled"],
        ),
    ),
    (
        8,
        series(
            "Waiting for the budget",
            "95th percentile of the wait of live work (health, settling, sync) over 15 minutes, and of all work.",
            queries(
                [
                    ("live, {{pool}}", quantile(0.95, WAIT, "account, pool", "15m")),
                    ("all, {{pool}}", quantile(0.95, WAIT_ALL, "account, pool", "15m")),
                ]
            ),
            unit="s",
            soft_max=35,
            thresholds=above("ExotelRateBudgetSaturated"),
            alerts=["ExotelRateBudgetSaturated"],
        ),
    ),
    (
        8,
        series(
            "Queue",
            "Requests that wait for room under the limit.",
            queries([("{{account}} {{pool}}", f"max by (account, pool) ({of('exotel_api_queue_length', ACCOUNT)})")]),
        ),
    ),
)
BOARD.line(
    8,
    (
        8,
        series(
            "Latency",
            "Time of one attempt by endpoint over 15 minutes, 95th percentile.",
            queries([("{{endpoint}}", quantile(0.95, LATENCY, "endpoint", "15m"))]),
            unit="s",
        ),
    ),
    (
        8,
        series(
            "Clock against Exotel",
            "Exotel's Date header minus the local clock. Windows of time go wrong when it is far off.",
            queries([("{{account}}", f"max by (account) (abs({of('exotel_api_clock_offset_seconds', ACCOUNT)}))")]),
            unit="s",
            soft_max=70,
            thresholds=above("ExotelClockSkew"),
            alerts=["ExotelClockSkew"],
        ),
    ),
    (
        8,
        table(
            "Accounts",
            "Configured interval and look-back, length of the last run, numbers and first cycle.",
            [
                ("Interval", f"max by (account) ({of('exotel_sync_interval_seconds', ACCOUNT)})"),
                ("Look-back", f"max by (account) ({of('exotel_sync_lookback_seconds', ACCOUNT)})"),
                ("Last run", f"max by (account) ({of('exotel_sync_last_run_duration_seconds', ACCOUNT)})"),
                ("Begun", f"min by (account) ({of('exotel_exporter_first_cycle_done', ACCOUNT)})"),
            ],
            order=["account"],
            overrides=[
                column("Interval", unit="s"),
                column("Look-back", unit="s"),
                column("Last run", unit="s"),
                column("Begun", mappings=states((1, "yes", GREEN), (0, "not yet", ORANGE))),
            ],
        ),
    ),
)

exporter_inside.add(BOARD)
