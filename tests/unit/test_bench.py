"""How the benchmark judges: by ratios, and a target that is none is no target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.report import Figure, show


@pytest.mark.parametrize(("ours", "target", "passed"), [(1.9, 1.0, True), (2.1, 1.0, False), (9.0, float("inf"), True)])
def test_a_figure_passes_within_its_ratio(ours: float, target: float, passed: bool) -> None:
    assert Figure.ratio("n", "s", ours, 2.0, target).passed is passed


def test_the_file_has_every_figure_and_one_that_misses_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FILE", tmp_path / "bench.json")
    good, bad = Figure.ratio("a", "s", 1, 2, 1), Figure.ratio("b", "s", 3, 2, 1)
    assert show([good]) == 0
    assert show([good, bad]) == 1
    assert json.loads(report.FILE.read_text()) == [
        {"name": "a", "unit": "s", "ours": 1, "baseline": 2, "ratio": 0.5, "target": 1, "pass": True},
        {"name": "b", "unit": "s", "ours": 3, "baseline": 2, "ratio": 1.5, "target": 1, "pass": False},
    ]
    assert Figure.ratio("c", "MB", 1, 2, float("inf")).as_json()["target"] is None
