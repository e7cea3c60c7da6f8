"""Makes deploy/grafana/dashboards/*.json from panels.toml: `make dashboards`. Grafana's JSON is mostly layout.

A test compares the two, and asks a real Prometheus each query.
"""

import json
import tomllib
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards"

_HERE = 'job=~"$job",instance=~"$instance"'
_WIDTH, _HEIGHT = 8, 7
_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}


class Panel(NamedTuple):
    """`queries`: legend and expression of each."""

    title: str
    unit: str
    queries: list[tuple[str, str]]
    kind: str = "timeseries"
    text: str = ""


def _read():
    """Give title and panels of each dashboard."""
    found = tomllib.loads((FOLDER.parent / "panels.toml").read_text(encoding="utf-8"))
    return {name: (one["title"], [Panel(**panel) for panel in one["panels"]]) for name, one in found.items()}


DASHBOARDS = _read()
BROKEN = (
    "internal_error|model_error|worker_lost|too_many_connections|queue_full|would_be_late|not_ready"
    "|storage_unavailable|shutting_down|deadline_exceeded"
)


def expression(query, here=_HERE, rate="$__rate_interval"):
    """Give a query as it is sent to Prometheus."""
    return query.replace("HERE", here).replace("RATE", rate).replace("BROKEN", BROKEN)


def dashboard(name):
    """Give a dashboard in Grafana's JSON."""
    title, panels = DASHBOARDS[name]
    return {
        "uid": f"tureen-{name}",
        "title": title,
        "tags": ["tureen"],
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {
                "title": "Tureen", "type": "dashboards", "tags": ["tureen"], "asDropdown": False, "includeVars": True,
                "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": "",
            }
        ],
        "annotations": {"list": []},
        "templating": {"list": [_datasource(), _variable("job", "up"), _variable("instance", 'up{job=~"$job"}')]},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }  # fmt: skip


def _datasource():
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(name, of):
    return {
        "name": name, "label": name, "type": "query", "datasource": _source(), "refresh": 2, "includeAll": True,
        "multi": True, "allValue": ".*", "sort": 1, "hide": 0,
        "query": {"query": f"label_values({'tureen_build_info' if name == 'job' else of}, {name})", "refId": name},
    }  # fmt: skip


def _source():
    return {"type": "prometheus", "uid": "${datasource}"}


def _panel(number, panel):
    row, column = divmod(number, 24 // _WIDTH)
    return {
        "id": number + 1,
        "title": panel.title,
        "description": panel.text,
        "type": panel.kind,
        "datasource": _source(),
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {"legend": _LEGEND} if panel.kind == "timeseries" else {},
        "targets": [
            {
                "refId": chr(ord("A") + at), "datasource": _source(), "expr": expression(query), "legendFormat": legend,
                "exemplar": "histogram_quantile" in query, "instant": panel.kind == "table",
                "range": panel.kind != "table",
            }
            for at, (legend, query) in enumerate(panel.queries)
        ],
    }  # fmt: skip


def text(name):
    """Give the file of a dashboard."""
    return json.dumps(dashboard(name), indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for one in DASHBOARDS:
        (FOLDER / f"{one}.json").write_text(text(one), encoding="utf-8")
