"""PromQL that several panels share. Every selector carries the variables of the board."""

PROGRAM = 'job=~"$job",instance=~"$instance"'
ACCOUNT = PROGRAM + ',account=~"$account"'
EXOPHONE = ACCOUNT + ',exophone=~"$exophone"'

# Settled calls move with each sync run: four of the default intervals.
HOUR = "1h"


def of(name, scope, *matchers):
    """A selector: `of("exotel_up", ACCOUNT)`, `of("exotel_calls_total", EXOPHONE, 'status="failed"')`."""
    return f"{name}{{{','.join((scope,) + matchers)}}}"


def equal(label, value):
    """A matcher."""
    return f'{label}="{value}"'


def grew(selector, window=HOUR, offset=""):
    """How much a counter grew within a window."""
    return f"increase({selector}[{window}]{' offset ' + offset if offset else ''})"


def per_second(selector):
    """Rate of a counter that moves all the time."""
    return f"rate({selector}[$__rate_interval])"


def total(expression, by=""):
    """The sum, by labels if any."""
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def share(part, whole):
    """A ratio that is absent, not NaN, where there is nothing to divide by."""
    return f"{part} / ({whole} > 0)"


def day(selector):
    """What a counter gained in a day, without extrapolating.

    Where nothing is known of a day ago, or the counter began anew since (a restored store), from its least value in the day.
    """
    return f"({selector} - ({selector} offset 1d <= {selector} or min_over_time({selector}[1d])))"


def quantile(q, histogram, by="", window=HOUR):
    """A quantile of what a histogram took in within a window; absent, not NaN, where that is nothing."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (increase({histogram}[{window}]))) >= 0"


def calls(*matchers):
    """Settled calls by status."""
    return of("exotel_calls_total", EXOPHONE, *matchers)


def outcomes(*matchers):
    """Settled calls by outcome."""
    return of("exotel_call_outcomes_total", EXOPHONE, *matchers)


INBOUND = 'direction="inbound"'
OUTBOUND = 'direction=~"outbound-.*"'
ANSWERED = 'outcome="answered"'
KNOWN = 'outcome!="unknown"'
RANG = 'outcome=~"answered|missed|abandoned"'


def answered(*matchers, offset="", by=""):
    """Answered calls over calls whose outcome is known."""
    part = total(grew(outcomes(ANSWERED, *matchers), offset=offset), by)
    return share(part, total(grew(outcomes(KNOWN, *matchers), offset=offset), by))


def known_calls(*matchers):
    """Calls whose outcome is known: what an answer ratio rests on."""
    return total(grew(outcomes(KNOWN, *matchers)))


def overdue(timestamp, interval, scope=ACCOUNT):
    """How many intervals ago something last happened, the worst of each account.

    Less the minute that the alerts grant to the age of the last scrape: a demo that reads every second is not late for it.
    """
    return f"max by (account) (clamp_min(time() - {of(timestamp, scope)} - 60, 0) / {of(interval, scope)})"


def age(timestamp, worst="max"):
    """Seconds since something happened, of the worst or best agent of each account."""
    return f"{worst} by (account) (time() - {timestamp})"


SYNC_OVERDUE = overdue("exotel_sync_last_success_timestamp_seconds", "exotel_sync_interval_seconds")
HEALTH_OVERDUE = overdue("exotel_health_poll_last_success_timestamp_seconds", "exotel_health_poll_interval_seconds")

# 1 is reachable by every source that spoke, 0 is not; by ExoPhone and direction. Poll and push each may be absent.


def reachable(direction=""):
    """1 or 0 for each ExoPhone and direction."""
    matchers = (f'direction="{direction}"',) if direction else ()
    poll = of("exotel_exophone_up", EXOPHONE, *matchers)
    push = f"(1 - {of('exotel_heartbeat_exophone_affected', EXOPHONE, *matchers)})"
    return f"min by (account, exophone, direction) ({poll} * {push} or {poll} or {push})"


def down(direction):
    """How many ExoPhones are down; absent where nothing is known of any."""
    return f"sum(1 - {reachable(direction)})"


def else_value(value):
    """What a query gives when it finds nothing at all, under a name that says so."""
    return f' or on () label_replace(vector({value}), "account", "nothing known", "", "")'


def firing(*matchers):
    """Firing alerts of ours; the dead-man's switch always fires and is left out."""
    return "ALERTS{" + ",".join(('alertname=~"Exotel.+",alertname!="ExotelWatchdog"', 'alertstate="firing"') + matchers) + "}"


def firing_count(severity):
    """How many alerts fire; absent where the dead-man's switch does not fire either: then nobody evaluates the rules."""
    count = f"count({firing(equal('severity', severity))})"
    return count + ' or 0 * max(ALERTS{alertname="ExotelWatchdog",alertstate="firing"})'
