"""The shipped alerts, by promtool: each fires in its scenario and in no other, and each has its paragraph."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from server.web.errors import PROBLEMS
from tests.metrics_page import every_metric

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/rules.yml"
TEXT = RULES.read_text()
ALERTS = re.findall(r"alert: (\w+)", TEXT)
PROMTOOL = shutil.which("promtool") or "promtool"

# A replica that does well; a scenario replaces some of it. In promtool's notation: start, step, times; per minute.
WELL = {
    'up{job="tureen",instance="a"}': "1x%d",
    'tureen_requests_total{job="tureen",instance="a",resource="images",outcome="ok"}': "0+6000x%d",
    'tureen_requests_total{job="tureen",instance="a",resource="images",outcome="would_be_late"}': "0+0x%d",
    'tureen_requests_total{job="tureen",instance="a",resource="images",outcome="image_corrupt"}': "0+600x%d",
    'tureen_requests_total{job="tureen",instance="a",resource="images",outcome="model_error"}': "0x%d",
    'tureen_workers{job="tureen",instance="a"}': "2x%d",
    'tureen_workers_ready{job="tureen",instance="a"}': "2x%d",
    'tureen_worker_restarts_total{job="tureen",instance="a",reason="crash"}': "0x%d",
    'tureen_queue_oldest_seconds{job="tureen",instance="a"}': "0.1x%d",
    'tureen_slo_seconds{job="tureen",instance="a"}': "1x%d",
    'tureen_slowdown{job="tureen",instance="a"}': "1x%d",
    'tureen_event_loop_lag_seconds_bucket{job="tureen",instance="a",le="0.005"}': "0+600x%d",
    'tureen_event_loop_lag_seconds_bucket{job="tureen",instance="a",le="0.2"}': "0+600x%d",
    'tureen_event_loop_lag_seconds_bucket{job="tureen",instance="a",le="+Inf"}': "0+600x%d",
    'tureen_connections_refused_total{job="tureen",instance="a"}': "0x%d",
    'tureen_model_info{job="tureen",instance="a",model="food",version="1",hash="x"}': "1x%d",
    'tureen_model_info{job="tureen",instance="b",model="food",version="1",hash="x"}': "1x%d",
    'tureen_spool_images{job="tureen",instance="a"}': "50x%d",
    'tureen_spool_refused_total{job="tureen",instance="a",reason="full"}': "0x%d",
    'tureen_store_errors_total{job="tureen",instance="a",reason="refused"}': "0x%d",
    'tureen_drift{job="tureen",instance="a",model="food",version="1"}': "0x%d",
    'tureen_rollouts_total{job="tureen",instance="a",model="food",result="rolled_back"}': "0x%d",
    'tureen_certificate_expiry_timestamp_seconds{job="tureen",instance="a"}': "9999999x%d",
    'tureen_lost_traces_total{job="tureen",instance="a",reason="queue_full"}': "0x%d",
    'tureen_auth_refusals_total{job="tureen",instance="a",reason="unknown_key"}': "0x%d",
}
THREE_HOURS = 180


def series(name):
    """Give the full name of the one series of `WELL` that begins so."""
    (found,) = (one for one in WELL if one.startswith(name))
    return found


IMAGES = 'tureen_requests_total{job="tureen",instance="a",resource="images",outcome='
CORRUPT = series(f'{IMAGES}"image_corrupt"')
PROMPT = series('tureen_event_loop_lag_seconds_bucket{job="tureen",instance="a",le="0.005"}')
SECOND = series('tureen_model_info{job="tureen",instance="b"')
OTHER = SECOND.replace('version="1",hash="x"', 'version="2",hash="y"')
BURNS = ("TureenPromiseBurnsSlowly", "TureenPromiseBurns", "TureenPromiseBurnsFast")
LATE = series(f'{IMAGES}"would_be_late"')
ERROR = series(f'{IMAGES}"model_error"')

# What is otherwise than well, for how many minutes, and who fires. Of 6,000 images per minute 1 in 1,000 may be late.
SCENARIOS = {
    "all is well": ({}, THREE_HOURS, set()),
    "clients send rubbish": ({CORRUPT: "0+60000x%d"}, 60, set()),
    "one image in fifty is late": ({LATE: "0+120x%d"}, THREE_HOURS, set(BURNS)),
    "one in a hundred": ({LATE: "0+60x%d"}, THREE_HOURS, set(BURNS[:2])),
    "one in five hundred": ({LATE: "0+12x%d"}, THREE_HOURS, {"TureenPromiseBurnsSlowly"}),
    "one in two thousand": ({LATE: "0+3x%d"}, THREE_HOURS, set()),
    "a replica is gone": ({series("up"): "0x%d"}, 60, {"TureenDown"}),
    "no worker comes up": ({series("tureen_workers_ready"): "0x%d"}, 60, {"TureenNoWorkers"}),
    "a worker is missing": ({series("tureen_workers_ready"): "1x%d"}, 60, {"TureenWorkersMissing"}),
    "workers crash": ({series("tureen_worker_restarts"): "0+1x%d"}, 60, {"TureenCrashLoop"}),
    "images wait": ({series("tureen_queue_oldest"): "0.6x%d"}, 60, {"TureenSaturated"}),
    "the machine is slow": ({series("tureen_slowdown"): "2.5x%d"}, 60, {"TureenSlower"}),
    "the loop is late": ({PROMPT: "0x%d"}, 60, {"TureenLoopLate"}),
    "too many connections": ({series("tureen_connections_refused"): "0+60x%d"}, 60, {"TureenConnectionsRefused"}),
    "replicas differ": ({SECOND: "", OTHER: "1x%d"}, 60, {"TureenModelsDiffer"}),
    "the spool grows": ({series("tureen_spool_images"): "2000+100x%d"}, 60, {"TureenSpoolGrows"}),
    "the spool is full": ({series("tureen_spool_refused"): "0+1x%d"}, 60, {"TureenSpoolRefuses"}),
    "the store says no": ({series("tureen_store_errors"): "0+1x%d"}, 60, {"TureenStoreRefuses"}),
    "images have changed": ({series("tureen_drift"): "1x%d"}, 60, {"TureenDrift"}),
    "a rollout is rolled back": ({series("tureen_rollouts"): "0x50 1x%d"}, 60, {"TureenRolledBack"}),
    "the model fails now and then": ({ERROR: "0+1x%d"}, 60, {"TureenModelErrors"}),
    "a certificate ends": ({series("tureen_certificate"): "100000x%d"}, THREE_HOURS, {"TureenCertificateExpires"}),
    "traces are lost": ({series("tureen_lost_traces"): "0+1x%d"}, 60, {"TureenTelemetryLost"}),
    "somebody tries keys": ({series("tureen_auth_refusals"): "0+120x%d"}, 60, {"TureenCredentialsRefused"}),
}  # fmt: skip


def unit_test(name):
    """Give a scenario as promtool takes it: JSON is YAML."""
    otherwise, minutes, firing = SCENARIOS[name]
    values = {one: text % minutes for one, text in {**WELL, **otherwise}.items() if text}
    query = 'count by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": one, "values": text} for one, text in values.items()],
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": f"{minutes}m",
                "exp_samples": [{"labels": f'{{alertname="{one}"}}', "value": 1} for one in sorted(firing)],
            }
        ],
    }


def test_each_alert_fires_in_its_scenario_and_in_no_other(tmp_path):
    """All scenarios at once; promtool says which one is otherwise."""
    file = tmp_path / "rules_test.yml"
    tests = [unit_test(name) for name in SCENARIOS]
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "5m", "tests": tests}))

    ran = subprocess.run([PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True, check=False)

    assert 0 == ran.returncode, ran.stdout + ran.stderr


def test_every_alert_has_a_scenario():
    """One that never fires helps nobody."""
    assert set(ALERTS) == {alert for _, _, firing in SCENARIOS.values() for alert in firing}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_leads_to_its_paragraph(alert):
    """By a link that is a heading's."""
    runbook = (ROOT / "docs/runbook.md").read_text()

    assert f"runbook_url: docs/runbook.md#{alert.lower()}\n" in TEXT
    assert f"### {alert}\n" in runbook
    assert set(re.findall(r"^### (\w+)$", runbook, re.MULTILINE)) == set(ALERTS)


def test_what_breaks_the_promise_is_what_the_server_owes():
    """Every 5xx but `not_implemented`; what a client did wrong is owed nothing."""
    owed = {code for code, problem in PROBLEMS.items() if problem.status >= 500 and problem.status != 501}

    assert {frozenset(owed)} == {
        frozenset(text.split("|")) for text in re.findall(r'outcome=~"(?:ok\|)?([\w|]+)"', TEXT)
    }


def test_rules_ask_for_metrics_that_exist():
    """A renamed metric would silence an alert for ever."""
    exposed = {family.name for family in every_metric().registry.collect()}
    asked = set(re.findall(r"\btureen_\w+", TEXT))

    known = {name for one in exposed for name in (one, f"{one}_total", f"{one}_bucket", f"{one}_sum", f"{one}_count")}
    assert asked - known <= {"tureen_drift", "tureen_rollouts_total"}


def test_prometheus_takes_the_configuration():
    """As shipped."""
    command = [PROMTOOL, "check", "config", str(ROOT / "deploy/prometheus/prometheus.yml")]

    assert 0 == subprocess.run(command, capture_output=True, check=False).returncode
