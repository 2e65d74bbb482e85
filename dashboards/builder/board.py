"""A dashboard: its frame, its variables, and where its panels stand."""

from .alerts import RUNBOOKS
from .queries import ACCOUNT, PROGRAM, firing

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION = 39  # Grafana 10.4 reads it, later ones migrate it.
COLUMNS = 24


class Board:
    """A dashboard. Panels are added line by line; a line fills the whole width."""

    def __init__(self, uid, title, description, *, time="now-6h", refresh="1m", by_exophone=True):
        self._frame = (uid, title, description, time, refresh)
        self._by_exophone = by_exophone
        self._panels = []
        self._folded = None
        self._below_fold = 0
        self._y = 0
        self._id = 0

    def row(self, title, *, folded=False):
        """A heading. What comes after it is inside it; a folded one loads nothing until it is opened."""
        if self._folded is not None:
            self._y = self._below_fold
        row = {"type": "row", "id": self._next_id(), "title": title, "collapsed": folded, "panels": []}
        row["gridPos"] = {"x": 0, "y": self._y, "w": COLUMNS, "h": 1}
        self._y += 1
        self._panels.append(row)
        self._folded = row["panels"] if folded else None
        self._below_fold = self._y

    def line(self, height, *panels):
        """Panels side by side, each a pair of width and panel."""
        x = 0
        for width, panel in panels:
            panel = {"id": self._next_id(), **panel}
            panel["gridPos"] = {"x": x, "y": self._y, "w": width, "h": height}
            (self._panels if self._folded is None else self._folded).append(panel)
            x += width
        assert x == COLUMNS, f"{self._frame[1]}: a line of width {x}: {[p['title'] for _, p in panels]}"
        self._y += height

    def json(self):
        """As Grafana imports it."""
        uid, title, description, time, refresh = self._frame
        return {
            "uid": uid,
            "title": title,
            "description": description,
            "tags": ["exotel"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": time, "to": "now"},
            "refresh": refresh,
            "links": _links(),
            "annotations": {"list": _annotations()},
            "templating": {"list": _variables(self._by_exophone)},
            "panels": self._panels,
        }

    def _next_id(self):
        self._id += 1
        return self._id


def _links():
    boards = {"title": "Exotel boards", "type": "dashboards", "tags": ["exotel"], "asDropdown": True}
    boards |= {"icon": "external link", "tooltip": "", "url": "", "includeVars": True, "keepTime": True, "targetBlank": False}
    runbooks = {"title": "Runbooks", "type": "link", "tags": [], "asDropdown": False}
    runbooks |= {"icon": "doc", "tooltip": "What to do about each alert", "url": f"{RUNBOOKS}/"}
    runbooks |= {"includeVars": False, "keepTime": False, "targetBlank": True}
    return [boards, runbooks]


def _annotations():
    def alerts(name, severity, color):
        return {
            "name": name,
            "datasource": DATASOURCE,
            "enable": True,
            "hide": False,
            "iconColor": color,
            "expr": firing(f'severity="{severity}"'),
            "titleFormat": "{{alertname}}",
            "textFormat": "{{account}} {{exophone}} {{direction}}",
            "tagKeys": "severity",
            "step": "60s",
            "useValueForTime": False,
        }

    return [alerts("Critical alerts", "critical", "red"), alerts("Warnings", "warning", "orange")]


def _variables(by_exophone):
    names = f'{{__name__=~"exotel_calls_total|exotel_exophone_info",{ACCOUNT}}}'
    datasource = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    datasource |= {"hide": 0, "includeAll": False, "multi": False, "refresh": 1, "regex": "", "skipUrlSync": False, "options": []}
    return [
        datasource,
        _query("job", "Job", "label_values(exotel_exporter_build_info, job)"),
        _query("instance", "Instance", 'label_values(exotel_exporter_build_info{job=~"$job"}, instance)'),
        _query("account", "Account", f"label_values(exotel_up{{{PROGRAM}}}, account)"),
        # Hidden where no panel asks for it, so that links from board to board keep the choice.
        _query("exophone", "ExoPhone", f"label_values({names}, exophone)", hide=0 if by_exophone else 2),
    ]


def _query(name, label, query, hide=0):
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": query,
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "multi": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": hide,
        "regex": "",
        "skipUrlSync": False,
        "options": [],
    }
