"""Panels. Each function gives one; Board.line places it."""

from .alerts import GREY, PLAIN, runbook
from .board import DATASOURCE


def query(expr, legend="", *, ref="A", instant=False, table=False):
    """A query of a panel."""
    target = {"refId": ref, "datasource": DATASOURCE, "expr": expr, "legendFormat": legend or "__auto"}
    target |= {"instant": True, "range": False} if instant else {"instant": False, "range": True}
    if table:
        target["format"] = "table"
    return target


def queries(pairs, *, instant=False):
    """Several, from pairs of legend and expression."""
    return [query(expr, legend, ref=chr(ord("A") + i), instant=instant) for i, (legend, expr) in enumerate(pairs)]


def steps(pairs):
    """Thresholds from pairs of value and colour."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in pairs]}


def states(*values):
    """Value mappings from triples of value, text and colour."""
    options = {str(value): {"text": text, "color": color, "index": i} for i, (value, text, color) in enumerate(values)}
    return [{"type": "value", "options": options}]


def ranges(*values):
    """Value mappings from (from, to, text, colour); None is without end."""
    return [
        {"type": "range", "options": {"from": low, "to": high, "result": {"text": text, "color": color, "index": i}}}
        for i, (low, high, text, color) in enumerate(values)
    ]


def nothing(text):
    """A value mapping for the case that there is no value: a grey word, where Grafana would show its own in the colour of all is well."""
    return {"type": "special", "options": {"match": "null+nan", "result": {"text": text, "color": GREY, "index": 9}}}


def override(names, **properties):
    """An override for series of these legends, or columns of these headings; `__` stands for a dot: `custom__axisPlacement`.

    Grafana's official schema wants options of a matcher to be an object, which only byNames has.
    """
    listed = [{"id": name.replace("__", "."), "value": value} for name, value in properties.items()]
    return {"matcher": {"id": "byNames", "options": {"mode": "include", "names": list(names)}}, "properties": listed}


def named(name, color):
    """An override that gives the series of this legend a fixed colour."""
    return override([name], color={"mode": "fixed", "fixedColor": color})


def stat(title, description, targets, *, unit="none", thresholds=PLAIN, mappings=(), alerts=(), overrides=(), **more):
    """Big figures, of now. `more`: decimals, no_value, filled, names, size, min, max."""
    several = len(targets) > 1 or more.get("names")
    if "no_value" in more:
        mappings = [*mappings, nothing(more.pop("no_value"))]
    # Grafana's word for one below the other: accounts, or a share above the number that it rests on.
    lines = more.get("names") or more.get("size")
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background" if more.get("filled") else "value",
        "graphMode": "none",
        "justifyMode": "center" if more.get("filled") else "auto",
        "orientation": "horizontal" if lines else "auto",
        "textMode": "value_and_name" if several else "value",
        "wideLayout": True,
    }
    if more.get("size"):
        options["text"] = {"titleSize": 13, "valueSize": more["size"]}
    return _panel("stat", title, description, targets, options, _defaults(unit, thresholds, mappings, more), overrides, alerts)


def sample(legend):
    """An override for the figure that says how many calls a ratio rests on."""
    quiet = {"mode": "fixed", "fixedColor": GREY}
    return override([legend], unit="locale", decimals=0, color=quiet, mappings=[])


def series(title, description, targets, *, unit="short", thresholds=PLAIN, alerts=(), overrides=(), stacked=False, **more):
    """Lines over time, or areas on top of each other. `more`: decimals, min, max, soft_max, legend."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1 if stacked else 2,
        "fillOpacity": 60 if stacked else 8,
        "gradientMode": "none",
        "showPoints": "never",
        "pointSize": 5,
        "spanNulls": False,
        "axisPlacement": "auto",
        "axisBorderShow": False,
        "scaleDistribution": {"type": "linear"},
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if len(thresholds) > 1 else "off"},
    }
    if "soft_max" in more:
        custom["axisSoftMax"] = more["soft_max"]
    defaults = _defaults(unit, thresholds, (), {"min": 0, **more})
    defaults |= {"color": {"mode": "palette-classic"}, "custom": custom}
    options = {
        "legend": {"displayMode": "list", "placement": more.get("legend", "bottom"), "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel("timeseries", title, description, targets, options, defaults, overrides, alerts)


def ratio_sample(legend):
    """An override that draws how many calls a ratio rests on as grey bars against an axis of their own."""
    return override(
        [legend],
        unit="short",
        color={"mode": "fixed", "fixedColor": GREY},
        custom__drawStyle="bars",
        custom__lineWidth=0,
        custom__fillOpacity=15,
        custom__axisPlacement="right",
        custom__axisGridShow=False,
        custom__thresholdsStyle={"mode": "off"},
    )


def dashed(*legends):
    """An override for what is shown to compare with: last week, a limit."""
    grey = {"mode": "fixed", "fixedColor": GREY}
    style = {"fill": "dash", "dash": [8, 8]}
    return override(legends, color=grey, custom__lineStyle=style, custom__fillOpacity=0, custom__lineWidth=1)


def timeline(title, description, targets, mappings, *, alerts=(), **more):
    """States over time, one lane for each series."""
    options = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.85,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    defaults = _defaults("none", PLAIN, mappings, more)
    defaults["custom"] = {"fillOpacity": 85, "lineWidth": 0, "spanNulls": False}
    return _panel("state-timeline", title, description, targets, options, defaults, (), alerts)


def bars(title, description, targets, *, unit="locale", thresholds=PLAIN, alerts=(), **more):
    """Horizontal bars, of now."""
    options = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "valueMode": "color",
        "namePlacement": "auto",
        "sizing": "auto",
        "minVizHeight": 16,
        "minVizWidth": 8,
        "maxVizHeight": 40,
        "text": {"titleSize": 13, "valueSize": 16},
    }
    defaults = _defaults(unit, thresholds, (), {"min": 0, **more})
    return _panel("bargauge", title, description, targets, options, defaults, (), alerts)


def table(title, description, columns, *, order, hidden=(), overrides=(), alerts=(), sort=None, no_value="–"):
    """A table: `columns` are pairs of heading and instant expression, joined by labels; `order` are the labels shown first."""
    targets = [query(expr, ref=chr(ord("A") + i), instant=True, table=True) for i, (_, expr) in enumerate(columns)]
    # One query's value is called Value, several queries' Value #A, Value #B, ...
    value = "Value" if len(columns) == 1 else "Value #{}"
    names = {value.format(target["refId"]): heading for target, (heading, _) in zip(targets, columns)}
    shown = list(order) + list(names)
    organize = {
        "excludeByName": {name: True for name in ("Time", *hidden)},
        "includeByName": {},
        "indexByName": {name: i for i, name in enumerate(shown)},
        "renameByName": {**{label: LABELS.get(label, label.capitalize()) for label in order}, **names},
    }
    options = {"cellHeight": "sm", "showHeader": True, "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""}}
    options["sortBy"] = [{"displayName": sort, "desc": True}] if sort else []
    defaults = _defaults("locale", PLAIN, (), {"no_value": no_value})
    defaults["custom"] = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": False, "minWidth": 80}
    # Else Grafana takes +918000000011 for a quantity and shows 918 Bil.
    texts = override([LABELS.get(label, label.capitalize()) for label in order], unit="string")
    widths = [override(["ExoPhone"], custom__width=150)] if "exophone" in order else []
    overrides = [texts, *widths, *overrides]
    panel = _panel("table", title, description, targets, options, defaults, overrides, alerts)
    panel["transformations"] = [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
    return panel


LABELS = {"exophone": "ExoPhone", "alertname": "Alert", "sid": "Id at Exotel"}


def column(heading, **properties):
    """An override for one column of a table."""
    return override([heading], **properties)


# Cell options of a column that is coloured by its thresholds or mappings.
TINTED = {"type": "color-text"}


def _defaults(unit, thresholds, mappings, more):
    defaults = {"unit": unit, "color": {"mode": "thresholds"}, "mappings": list(mappings), "thresholds": steps(thresholds)}
    for key, name in (("decimals", "decimals"), ("no_value", "noValue"), ("min", "min"), ("max", "max")):
        if more.get(key) is not None:
            defaults[name] = more[key]
    return defaults


def _panel(kind, title, description, targets, options, defaults, overrides, alerts):
    panel = {"type": kind, "title": title, "description": description, "datasource": DATASOURCE, "targets": list(targets)}
    panel["options"] = options
    panel["fieldConfig"] = {"defaults": defaults, "overrides": list(overrides)}
    if alerts:
        panel["links"] = [
            {
                "title": f"Runbook: {alert}",
                "type": "link",
                "icon": "doc",
                "tooltip": "",
                "url": runbook(alert),
                "tags": [],
                "asDropdown": False,
                "includeVars": False,
                "keepTime": False,
                "targetBlank": True,
            }
            for alert in alerts
        ]
    return panel
