"""What is shipped for Prometheus and Grafana asks for figures that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from smtpweb.config import ROOT
from smtpweb.web.presentation import exposition

RULES = ROOT / "deploy" / "prometheus-rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"
_NAME = re.compile(r"smtpweb_[a-z_]+")


def known() -> set[str]:
    """The names of all figures."""
    families = {f"smtpweb_{name}" for name in exposition._GAUGES}
    source = Path(exposition.__file__).read_text()
    families |= set(re.findall(r'"(smtpweb_[a-z_]+)"', source))
    families |= {f"smtpweb_{name}" for name in re.findall(r'Family,\s+"([a-z_]+)"', source)}
    return families | {f"{name}{end}" for name in families for end in ("_total", "_sum", "_count")}


def expressions() -> list[str]:
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [rule["expr"] for rule in rules] + [
        target["expr"] for panel in panels for target in panel["targets"]
    ]


@pytest.mark.parametrize("expression", expressions())
def test_rules_and_dashboard_ask_for_figures_that_there_are(expression: str) -> None:
    names = set(_NAME.findall(expression))
    assert names or "up{" in expression
    assert names <= known()


def test_alerts_say_what_they_mean() -> None:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_panels_of_the_dashboard_have_ids_of_their_own() -> None:
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(ids) == len(set(ids)) > 5
