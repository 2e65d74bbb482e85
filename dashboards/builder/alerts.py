"""The alerts that panels refer to: severity, and the limit that panel and rule have in common.

A test holds these numbers against the rules in alerts/.
"""

# Where readers find docs/runbooks: to be replaced by your own address, as in the runbook_url of the rules.
RUNBOOKS = "https://runbooks.example/exotel-exporter"

RED, ORANGE, GREEN, BLUE, GREY = "red", "orange", "green", "blue", "#8e8e8e"

_COLOR = {"critical": RED, "warning": ORANGE, "info": BLUE}

# Alert: severity, limit. The same unit as in the rule: shares are 0 to 1, times are seconds or whole intervals.
LIMITS = {
    "ExotelAbandonHigh": ("warning", 0.15),
    "ExotelApiErrorBudgetBurn": ("critical", 0.144),
    "ExotelApiThrottled": ("warning", 5),
    "ExotelAuditDifference": ("warning", 0.01),
    "ExotelCallFailureBurn": ("critical", 0.10),
    "ExotelCallbacksLost": ("warning", 0.05),
    "ExotelCallsUnsettled": ("warning", 21600),
    "ExotelClockSkew": ("warning", 60),
    "ExotelConcurrencyHigh": ("warning", 0.8),
    "ExotelExophoneFlapping": ("warning", 6),
    "ExotelExporterRestarting": ("warning", 3),
    "ExotelHealthPollStalled": ("critical", 10),
    "ExotelHeartbeatMissing": ("warning", 3),
    "ExotelOutcomesUnknown": ("info", 0.2),
    "ExotelRateBudgetSaturated": ("warning", 30),
    "ExotelReconcileDrift": ("warning", 0.02),
    "ExotelShortCallsHigh": ("warning", 0.25),
    "ExotelSmsFailureHigh": ("warning", 0.10),
    "ExotelStoreFilling": ("warning", 0.85),
    "ExotelSyncStalled": ("critical", 3),
    "ExotelTaskRestarting": ("warning", 4),
    "ExotelWebhookRejected": ("warning", 20),
    "ExotelWebhookSlow": ("warning", 5),
}


def runbook(alert):
    """Address of the page that says what to do about an alert."""
    return f"{RUNBOOKS}/{alert}.md"


def above(alert):
    """Threshold steps: green, and the alert's colour from its limit on."""
    severity, limit = LIMITS[alert]
    return [(None, GREEN), (limit, _COLOR[severity])]


def below_complement(alert):
    """Threshold steps of one minus the alert's figure: the alert's colour, and green from the limit on."""
    severity, limit = LIMITS[alert]
    return [(None, _COLOR[severity]), (round(1 - limit, 6), GREEN)]


def any_at_all(color):
    """Threshold steps: green at nothing, the colour from one on."""
    return [(None, GREEN), (1, color)]


PLAIN = [(None, BLUE)]
