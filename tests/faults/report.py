"""How the outcomes of faults are shown and kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class Told(DataclassInstance, Protocol):
        """What became of one fault."""

        @property
        def passed(self) -> bool: ...


def sign(outcome: Told) -> str:
    """Whether it was survived, for a table."""
    return "pass" if outcome.passed else "[red]FAILED[/]"


def report(table: Table, outcomes: Sequence[Told], file: Path) -> int:
    """The table is shown, and the file has the same; returns 0 when there were faults, and all were survived."""
    Console().print(table)
    file.parent.mkdir(exist_ok=True)
    rows = [{**asdict(one), "pass": one.passed} for one in outcomes]
    file.write_text(json.dumps([{k: v for k, v in row.items() if k != "passed"} for row in rows], indent=2) + "\n")
    return 0 if outcomes and all(one.passed for one in outcomes) else 1
