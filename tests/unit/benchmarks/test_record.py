from __future__ import annotations

import json
from pathlib import Path

from benchmarks.figures import Figures, Measure
from benchmarks.loops import NAIVE
from benchmarks.record import record, write

WAIT = Measure("queue", "wait", "Wait", "ms", more_is_better=False)


def recorded() -> dict[str, object]:
    figures = Figures()
    for system, value in {"ours": 2.0, "arq": 200.0, "saq": 4.0, NAIVE.name: 8.0}.items():
        figures.add(WAIT, "p50", system, value)
    (figure,) = record(figures, ["arq", "saq"], {"machine": "test"})["figures"]
    return {name: system["times_as_good_as"] for name, system in figure["systems"].items()}


def test_each_system_is_compared_with_stock_arq_the_best_peer_and_the_naive_loop() -> None:
    assert recorded()["ours"] == {"arq": 100.0, "best_peer": 2.0, "naive_loop": 4.0}
    assert recorded()["arq"] == {"arq": 1.0, "best_peer": 0.02, "naive_loop": 0.04}


def test_we_are_never_our_own_best_peer() -> None:
    figures = Figures()
    figures.add(WAIT, "p50", "ours", 2.0)
    (figure,) = record(figures, ["arq", "saq"], {})["figures"]
    assert figure["systems"]["ours"]["times_as_good_as"] == {}


def test_results_are_written_as_json_under_their_moment(tmp_path: Path) -> None:
    results = record(Figures(), [], {"machine": "test"})
    path = write(results, tmp_path)
    assert json.loads(path.read_text()) == results
    assert ":" not in path.name
