"""The dashboard and the alert rules ask for metrics that there are, in expressions that parse."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.unit.ops.files import ROOT
from tests.unit.ops.promql import parse
from tests.unit.telemetry.registry import described
from tests.unit.telemetry.test_metric_names import LABELS

OF_THE_SCRAPE = {"job", "instance"}
OF_THE_CLIENT = {"process_cpu_seconds_total", "process_resident_memory_bytes"}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "ops/grafana/noteflow.json").read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / "ops/prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> dict[str, set[str]]:
    """Every name that a query may use, with the labels that come with it."""
    known = {name: set(OF_THE_SCRAPE) for name in OF_THE_CLIENT}
    for family in described():
        labels = OF_THE_SCRAPE | set(filter(None, LABELS.get(family.name, "").split(", ")))
        if family.type == "histogram":
            known |= {f"{family.name}_count": labels, f"{family.name}_sum": labels}
            known[f"{family.name}_bucket"] = labels | {"le"}
        else:
            known[f"{family.name}_total" if family.type == "counter" else family.name] = labels
    return known


EXPRESSIONS = [
    *(pytest.param(target["expr"], id=panel["title"]) for panel in panels() for target in panel["targets"]),
    *(pytest.param(rule["expr"], id=rule["alert"]) for rule in alerts()),
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_parses_and_asks_for_what_there_is(expression: str) -> None:
    known = queries()
    parsed = parse(expression)
    assert parsed.selectors
    for name, labels in parsed.selectors:
        assert name in known
        assert labels <= known[name]
    assert parsed.groupings <= set().union(*(known[name] for name, _ in parsed.selectors))


@pytest.mark.parametrize("wrong", ["sum(", "rate(up)", "max by (queue (x)", "x{a=b}", "a b", "nosuch(x)", "1 +"])
def test_what_does_not_parse_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"expected|no token"):
        parse(wrong)


def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert() -> None:
    asked = {name for case in EXPRESSIONS for name, _ in parse(str(case.values[0])).selectors}
    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked}
    ours = {f"{family.name}_total" if family.type == "counter" else family.name for family in described()}
    assert ours <= bases


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_how_urgent_it_is_what_it_means_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Noteflow[A-Z]\w+", rule["alert"])
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].rstrip('"')[-1] in ".?"
    assert rule["annotations"]["description"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))


def test_what_every_worker_tells_alike_is_never_summed_over_workers() -> None:
    alike = ("queue_", "kind_", "parked_", "dead_letter", "outbox_", "workers", "jobs_enqueued", "stalest_")
    for case in EXPRESSIONS:
        text = str(case.values[0])
        for name in re.findall(r"noteflow_(\w+)", text):
            if name.startswith(alike):
                before = text[: text.index(name)]
                assert re.search(r"max( by \([\w, ]+\))? ?\((\w+\()?noteflow_$", before), text


def test_the_panels_of_the_dashboard_lie_side_by_side_and_have_ids_of_their_own() -> None:
    every = dashboard()["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
    assert all(panel["description"] for panel in panels())
