"""What was measured, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from rich.console import Console
from rich.table import Table

FILE = Path("build") / "bench.json"


@dataclass(frozen=True)
class Figure:
    """One measure: ours, what it is compared with, and the ratio that it may reach."""

    name: str
    unit: str
    ours: float
    baseline: float
    target: float
    passed: bool

    @classmethod
    def ratio(cls, name: str, unit: str, ours: float, baseline: float, target: float) -> Figure:
        """A measure that passes when ours is at most ``target`` times the baseline."""
        return cls(name, unit, ours, baseline, target, ours <= target * baseline)

    def as_json(self) -> dict[str, object]:
        """As build/bench.json has it; a target that is none is null."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": round(self.ours, 3),
            "baseline": round(self.baseline, 3),
            "ratio": round(self.ours / self.baseline, 3) if self.baseline else None,
            "target": round(self.target, 3) if isfinite(self.target) else None,
            "pass": self.passed,
        }


def show(figures: Sequence[Figure]) -> int:
    """Prints the table and writes the file; 0 when every target is met, else 1."""
    table = Table("measure", "unit", "ours", "plain helm", "ratio", "target", "")
    for one in map(Figure.as_json, figures):
        table.add_row(
            *(str(one[key]) for key in ("name", "unit", "ours", "baseline", "ratio", "target")),
            "pass" if one["pass"] else "[red]MISSED[/]",
        )
    Console().print(table)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps([one.as_json() for one in figures], indent=2) + "\n")
    return 0 if all(one.passed for one in figures) else 1
