"""The board of calls, folded row: how figures came about."""

from .alerts import BLUE, above
from .common import STATUSES, palette
from .panels import named, queries, ratio_sample, series
from .queries import ACCOUNT
from .queries import calls, grew, of, outcomes, quantile, share, total

SETTLE = of("exotel_call_settle_delay_seconds_bucket", ACCOUNT)


def add(board):
    """Adds the rows to the board."""
    board.row("How calls were counted", folded=True)
    board.line(
        8,
        (
            8,
            series(
                "Outcome unknown",
                "Settled calls whose leg details could not be had, over all settled calls of six hours. Above a fifth the ratios rest on a part.",
                queries(
                    [
                        ("unknown", share(total(grew(outcomes('outcome="unknown"'), "6h")), total(grew(outcomes(), "6h")))),
                        ("calls, 6 h", total(grew(outcomes(), "6h"))),
                    ]
                ),
                unit="percentunit",
                soft_max=0.3,
                thresholds=above("ExotelOutcomesUnknown"),
                overrides=[ratio_sample("calls, 6 h"), named("unknown", BLUE)],
                alerts=["ExotelOutcomesUnknown"],
            ),
        ),
        (
            8,
            series(
                "Calls by status",
                "Settled calls within the hour before each point by Exotel's own status, which overstates what inbound callers got.",
                queries([("{{status}}", total(grew(calls()), "status") + " > 0")]),
                overrides=palette(STATUSES),
                stacked=True,
            ),
        ),
        (
            8,
            series(
                "Legs by result",
                "Legs of settled calls within an hour: leg 1 is who was dialled first, leg 2 whom they were connected to.",
                queries([("leg {{leg}} {{status}}", total(grew(of("exotel_call_legs_total", ACCOUNT)), "leg, status") + " > 0")]),
                stacked=True,
            ),
        ),
    )
    board.line(
        8,
        (
            8,
            series(
                "From a call's end until it counts",
                "Median and 95th percentile over an hour.",
                queries([("median", quantile(0.5, SETTLE)), ("95 %", quantile(0.95, SETTLE))]),
                unit="s",
            ),
        ),
        (
            8,
            series(
                "Waiting to be counted",
                "Calls that have ended and are not settled, and the age of the oldest of them.",
                queries(
                    [
                        ("oldest", f"max(time() - {of('exotel_calls_unsettled_oldest_timestamp_seconds', ACCOUNT)})"),
                        ("calls", total(of("exotel_calls_unsettled", ACCOUNT))),
                    ]
                ),
                unit="s",
                thresholds=above("ExotelCallsUnsettled"),
                overrides=[ratio_sample("calls")],
                alerts=["ExotelCallsUnsettled"],
            ),
        ),
        (
            8,
            series(
                "Leg details and corrections",
                "How leg details came within an hour, and what Exotel changed after a call was counted.",
                queries(
                    [
                        ("details {{result}}", total(grew(of("exotel_call_details_total", ACCOUNT)), "result") + " > 0"),
                        ("corrected {{field}}", total(grew(of("exotel_call_corrections_total", ACCOUNT)), "field") + " > 0"),
                    ]
                ),
            ),
        ),
    )
