"""The agent's own board, second half: reading of calls, store, process."""

from .alerts import BLUE, GREEN, GREY, ORANGE, RED, above
from .panels import bars, column, dashed, named, queries, series, table
from .queries import ACCOUNT, PROGRAM
from .queries import grew, of, per_second, quantile, total

BUILD = of("exotel_exporter_build_info", PROGRAM)
HEAD = of("exotel_sync_head_timestamp_seconds", ACCOUNT)
WATERMARK = of("exotel_sync_watermark_timestamp_seconds", ACCOUNT)
RECORDS = of("exotel_sync_records_total", ACCOUNT)
STORE_SIZE = of("exotel_store_size_bytes", PROGRAM)
STORE_LIMIT = of("exotel_store_size_limit_bytes", PROGRAM)
OPERATIONS = of("exotel_store_operation_duration_seconds_bucket", PROGRAM)
ERRORS = of("exotel_store_errors_total", PROGRAM)
RESTARTS = of("exotel_exporter_task_restarts_total", PROGRAM)
STARTED = of("process_start_time_seconds", PROGRAM)


def add(board):
    """Adds the rows to the board."""
    board.row("Reading of calls")
    board.line(
        8,
        (
            8,
            series(
                "How far behind",
                "Age of the head (read so far) and of the watermark (final). The watermark honestly trails by the look-back; the dashed line is where the alert stands.",
                queries(
                    [
                        ("head, {{account}}", f"max by (account) (time() - {HEAD})"),
                        ("watermark, {{account}}", f"max by (account) (time() - {WATERMARK})"),
                        (
                            "too far",
                            f"max({of('exotel_sync_lookback_seconds', ACCOUNT)} + 2 * {of('exotel_sync_interval_seconds', ACCOUNT)} + 3600)",
                        ),
                    ]
                ),
                unit="s",
                overrides=[dashed("too far")],
                alerts=["ExotelSyncBehind", "ExotelSyncStalled"],
            ),
        ),
        (
            8,
            series(
                "Sync runs",
                "Runs within an hour by trigger and outcome; partial means that rows were set aside.",
                queries([("{{trigger}} {{outcome}}", total(grew(of("exotel_sync_runs_total", ACCOUNT)), "trigger, outcome") + " > 0")]),
                alerts=["ExotelSyncStalled"],
            ),
        ),
        (
            8,
            series(
                "Rows read",
                "Rows within an hour by what they brought. Many unchanged ones are the price of reading again what may still change.",
                queries([("{{result}}", total(grew(RECORDS), "result"))]),
                stacked=True,
                overrides=[named("new", "#37872d"), named("updated", BLUE), named("unchanged", GREY), named("rejected", RED)],
                alerts=["ExotelRowsSetAside"],
            ),
        ),
    )
    board.line(
        8,
        (
            8,
            series(
                "Rows set aside, windows cut",
                "Rows that could not be read and wait to be read again; windows left incomplete by a limit within an hour. Both should be nothing.",
                queries(
                    [
                        ("set aside, {{account}}", f"max by (account) ({of('exotel_sync_rows_set_aside', ACCOUNT)})"),
                        ("cut, {{account}}", total(grew(of("exotel_sync_windows_cut_total", ACCOUNT)), "account")),
                    ]
                ),
                soft_max=2,
                thresholds=[(None, GREEN), (1, ORANGE)],
                alerts=["ExotelRowsSetAside", "ExotelSyncCut"],
            ),
        ),
        (
            8,
            series(
                "Length of the last run",
                "How long the last sync run took; it should stay well below the interval.",
                queries([("{{account}}", f"max by (account) ({of('exotel_sync_last_run_duration_seconds', ACCOUNT)})")]),
                unit="s",
            ),
        ),
        (
            8,
            series(
                "Tasks started again, labels at their limit",
                "Background tasks that stopped and were started again within an hour, and observations that went to _other.",
                queries(
                    [
                        ("task {{task}}", total(grew(RESTARTS), "task")),
                        ("label {{label}}", total(grew(of("exotel_exporter_label_overflows_total", PROGRAM)), "label")),
                    ]
                ),
                soft_max=4,
                thresholds=above("ExotelTaskRestarting"),
                alerts=["ExotelTaskRestarting", "ExotelLabelOverflow"],
            ),
        ),
    )

    board.row("Store")
    board.line(
        8,
        (
            8,
            series(
                "Size",
                "The store file, and dashed the configured limit where there is one.",
                queries(
                    [
                        ("store", f"max by (job, instance) ({STORE_SIZE})"),
                        ("limit", f"max by (job, instance) ({STORE_LIMIT})"),
                    ]
                ),
                unit="bytes",
                overrides=[dashed("limit")],
                alerts=["ExotelStoreFilling"],
            ),
        ),
        (
            8,
            series(
                "Time of operations",
                "99th percentile over 15 minutes, by operation.",
                queries([("{{op}}", quantile(0.99, OPERATIONS, "op", "15m"))]),
                unit="s",
            ),
        ),
        (
            8,
            series(
                "Errors and rows removed",
                "Failed operations within 15 minutes, which should be none, and rows removed by retention or erasure.",
                queries(
                    [
                        ("failed {{op}}", total(grew(ERRORS, "15m"), "op")),
                        ("removed {{table}}", total(grew(of("exotel_store_pruned_records_total", PROGRAM), "15m"), "table") + " > 0"),
                    ]
                ),
                soft_max=2,
                alerts=["ExotelStoreFailing"],
            ),
        ),
    )

    board.row("Process", folded=True)
    board.line(
        8,
        (
            6,
            series(
                "Processor",
                "Seconds of processor time each second.",
                queries([("{{instance}}", total(per_second(of("process_cpu_seconds_total", PROGRAM)), "job, instance"))]),
                unit="percentunit",
            ),
        ),
        (
            6,
            series(
                "Memory",
                "Resident memory.",
                queries([("{{instance}}", f"max by (job, instance) ({of('process_resident_memory_bytes', PROGRAM)})")]),
                unit="bytes",
            ),
        ),
        (
            6,
            series(
                "Open files",
                "Open file descriptors, and dashed their limit.",
                queries(
                    [
                        ("{{instance}}", f"max by (job, instance) ({of('process_open_fds', PROGRAM)})"),
                        ("limit", f"min({of('process_max_fds', PROGRAM)})"),
                    ]
                ),
                overrides=[dashed("limit")],
            ),
        ),
        (
            6,
            bars(
                "Rows in the store",
                "Rows of each table now.",
                queries([("{{table}}", f"sum by (table) ({of('exotel_store_records', PROGRAM)})")], instant=True),
            ),
        ),
    )
    board.line(
        6,
        (
            24,
            table(
                "Agents",
                "Version, start and configuration of each agent.",
                [
                    ("Build", f"max by (job, instance, version, revision) ({BUILD})"),
                    ("Started", f"1000 * max by (job, instance) ({STARTED})"),
                    ("Configured", f"1000 * max by (job, instance) ({of('exotel_exporter_config_last_reload_success_timestamp_seconds', PROGRAM)})"),
                ],
                order=["job", "instance", "version", "revision"],
                hidden=["Value #A"],
                overrides=[column("Started", unit="dateTimeFromNow"), column("Configured", unit="dateTimeFromNow")],
            ),
        ),
    )
