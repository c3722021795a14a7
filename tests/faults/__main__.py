"""`make faults`: what happens when something breaks; tables, and build/faults.json, build/faults-installation.json."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from tests.faults import installation
from tests.faults.faults import FAULTS, Fault, Unexpected
from tests.faults.going_back import GOING_BACK
from tests.faults.keycloak import KEYCLOAK, open_keycloak_stage
from tests.faults.report import report, sign
from tests.faults.stage import Stage, Watch, open_stage
from tests.sandbox.conftest import Ended

FILE = Path("build") / "faults.json"
OUTAGE_SECONDS = 45.0
"""The hub's own page may be away so long while its one pod is replaced, and a part of the cluster is stopped."""


@dataclass(frozen=True)
class Outcome:
    """What became of one fault."""

    fault: str
    run_state: str
    serving: str
    lost: str
    seconds_to_healthy: float
    said: str
    passed: bool


def main(names: Sequence[str]) -> int:
    """Returns 0 when every fault was survived."""
    outcomes: list[Outcome] = []
    for faults, stage_of in (({**FAULTS, **GOING_BACK}, open_stage), (KEYCLOAK, open_keycloak_stage)):
        chosen = {name: fault for name, fault in faults.items() if not names or any(word in name for word in names)}
        if chosen:
            with stage_of() as stage:
                outcomes += [_tell(stage, name, fault) for name, fault in chosen.items()]
    codes = [_show(outcomes)] if outcomes else []
    if installation.chosen(names):
        codes.append(installation.main(names))
    return max(codes, default=1)


def _tell(stage: Stage, name: str, fault: Fault) -> Outcome:
    print(name, flush=True)
    outcome = _try(stage, name, fault)
    print(f"   {outcome}", flush=True)
    return outcome


def _try(stage: Stage, name: str, fault: Fault) -> Outcome:
    """The fault, then what the schedule does about it: the hub is healthy again, and the next deploy is as ever."""
    stage.remember()
    with Watch(stage.address) as watch:
        try:
            ended, wrong = fault(stage), ""
        except Unexpected as error:
            ended, wrong = Ended(-1, "", ""), str(error)
        started = time.monotonic()
        converged = stage.flow("converge", "--repair")
        seconds = time.monotonic() - started
        if not stage.healthy():
            wrong += f"; not healthy again: {converged.stderr[-1500:]}"
    again, settled = stage.deploy("--json"), stage.deploy("--plan-only", "--json")
    if again.code or settled.code:
        wrong += f"; the next deploy does not go well: {again.stderr[-1500:]} {settled.stdout}"
    lost = stage.lost()
    state = {0: "Completed", 1: "Failed", -9: "killed"}.get(ended.code, "unexpected")
    return Outcome(
        name, state, f"page away {watch.gap:.1f} s", lost or "nothing", round(seconds, 1), wrong or _last_words(ended),
        passed=not wrong and not lost and watch.gap < OUTAGE_SECONDS,
    )  # fmt: skip


def _last_words(ended: Ended) -> str:
    """The line in which the run said what went wrong, or what it waited for."""
    lines = [line for line in ended.stderr.splitlines() if "ERROR" not in line]
    found = [line for line in lines if "waiting for the fence" in line or line.startswith(("Kubernetes: ", "helm: "))]
    found += [line for line in lines if "missing or wrong" in line or "going back to revision" in line]
    return (found[-1].strip() if found else "")[:200]


def _show(outcomes: Sequence[Outcome]) -> int:
    table = Table("fault", "the run", "serving", "lost", "s to healthy", "said", "")
    for one in outcomes:
        seconds = str(one.seconds_to_healthy)
        table.add_row(one.fault, one.run_state, one.serving, one.lost, seconds, one.said[:120], sign(one))
    return report(table, outcomes, FILE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
