"""The faults of what is installed in the cluster: pods of worker, run, Prefect, its database and receiver go away.

`make faults` shows a table of them, and build/faults-installation.json; alone: python -m tests.faults.installation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from tasks.core.errors import HubError
from tests.faults.faults import Unexpected
from tests.faults.installed import Installed
from tests.faults.report import report, sign
from tests.sandbox.conftest import open_sandbox
from tests.sandbox.followed import followed_tag
from tests.sandbox.runs import Run, open_runs

FILE = Path("build") / "faults-installation.json"
HUB = "sandbox-iav-v1"
FOLLOWS_A_TAG = "sandbox"
REPAIR_SECONDS = 240.0
"""Within this time after a crash, the automation has the hub repaired."""
WAITED = "waiting for the fence"
RECEIVERS = 2
TOLD_SECONDS = 120.0
"""Within this time after a push, the receiver has made a run."""


@dataclass(frozen=True)
class Ending:
    """How the runs ended that a fault happened to, and what came of it by itself."""

    runs: str
    then: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one fault."""

    fault: str
    runs: str
    then: str
    seconds: float
    hub: str
    lost: str
    passed: bool


Fault = Callable[[Installed], Ending]


def _expect(holds: bool, what: str, run: Run) -> None:
    state = run["state"]
    if not holds:
        raise Unexpected(f"not so: {what}; run {run['name']} ended {state['name']}: {(state['message'] or '')[:1000]}")


def _harmed(where: Installed, harm: Callable[[str], None]) -> Run:
    """A deploy that this was done to while its Helm was at work, which has ended."""
    where.edit_by_hand()
    run = where.start("deploy")
    where.wait_for_helm(run)
    harm(run)
    return where.runs.end(run)


def _without(component: str) -> Fault:
    """A part of the installation goes away in mid-Helm: the run goes on."""

    def fault(where: Installed) -> Ending:
        run = _harmed(where, lambda _run: where.delete_pods(component))
        _expect(run["state"]["name"] == "Completed" and run["run_count"] == 1, "the run completes at once", run)
        return Ending(run["state"]["name"])

    return fault


def _killed(where: Installed) -> Ending:
    """Nobody is there who could go back: an automation has converge do it."""
    before = where.runs.of(f"converge/{HUB}")
    run = _harmed(where, where.kill)
    _expect(run["state"]["name"] == "Crashed", "the run is told to have crashed", run)
    began = time.monotonic()
    repair = where.new_run("converge", before, lambda one: bool(one["parameters"].get("repair")), REPAIR_SECONDS)
    repair = where.runs.end(repair["id"], REPAIR_SECONDS)
    _expect(repair["state"]["name"] == "Completed", "the repair that follows by itself completes", repair)
    return Ending("Crashed", f"repaired by itself in {time.monotonic() - began:.0f} s")


def _evicted(where: Installed) -> Ending:
    run = _harmed(where, where.evict)
    _expect(run["state"]["name"] == "Completed" and run["run_count"] == 2, "it completes in another pod", run)
    return Ending("Completed", " → ".join(state["name"] for state in where.runs.history(run["id"])[-6:]))


def _three_at_once(where: Installed) -> Ending:
    """The fence lets them work one after another, in whatever order."""
    where.edit_by_hand()
    started = [where.start(flow) for flow in ("deploy", "rollback", "deploy")]
    first, back, second = (where.runs.end(run) for run in started)
    for run in (first, second):
        _expect(run["state"]["name"] == "Completed", "a redeploy completes", run)
    told = "records: " in (back["state"]["message"] or "")
    _expect(back["state"]["name"] == "Completed" or told, "the rollback completes, or says why not", back)
    waited = sum(WAITED in where.runs.said(run) for run in started)
    _expect(waited >= 1, "one waits for another", first)
    _expect(where.release()["status"] == "deployed", "Helm finished the newest revision", back)
    names = ", ".join(str(run["state"]["name"]) for run in (first, back, second))
    return Ending(names, f"{waited} waited for the fence")


def _receivers_gone(where: Installed) -> Ending:
    """What Harbor told nobody is found by looks at the tag: one run, though there are two looks, and Harbor's tries."""
    before = where.runs.of(f"deploy/{where.name}")
    with followed_tag(where.sandbox, where.hub) as tag:
        with _no_receiver(where):
            new = tag.move()
            for _ in range(2):
                look = where.runs.end(where.start("follow-tags"))
                _expect(look["state"]["name"] == "Completed", "a look at the tag completes", look)
            _only_run(where, before, new)
        tag.move_back()
        told = where.new_run("deploy", before, lambda run: run["parameters"]["image"] == tag.digest, TOLD_SECONDS)
        told = where.runs.end(told["id"])
    _expect(told["state"]["name"] == "Completed", "the receiver, which is back, has the tag's way back deployed", told)
    _only_run(where, before, new)
    return Ending("Completed", "1 run by 2 looks; 1 by the receiver that is back")


@contextmanager
def _no_receiver(where: Installed) -> Generator[None]:
    """For as long, no receiver runs; those that did have not ended their work."""
    where.delete_pods("receiver")
    where.scale("receiver", 0)
    try:
        yield
    finally:
        where.scale("receiver", RECEIVERS)


def _only_run(where: Installed, before: Sequence[Run], digest: str) -> None:
    """One run, made since, deploys this digest, and it completes."""
    known = {run["id"] for run in before}
    made = [run for run in where.runs.of(f"deploy/{where.name}") if run["id"] not in known]
    of_digest = [run for run in made if run["parameters"].get("image") == digest]
    if len(of_digest) != 1:
        raise Unexpected(f"not so: one run of what was pushed; there are {len(of_digest)}")
    ended = where.runs.end(of_digest[0]["id"])
    _expect(ended["state"]["name"] == "Completed", "it deploys what was pushed", ended)


FAULTS: Mapping[str, tuple[str, Fault]] = {
    "worker's pod deleted in mid-upgrade": (HUB, _without("worker-hubs")),
    "run's processes killed in mid-upgrade": (HUB, _killed),
    "run's pod evicted in mid-upgrade": (HUB, _evicted),
    "Prefect's server deleted in mid-upgrade": (HUB, _without("prefect")),
    "PostgreSQL deleted in mid-upgrade": (HUB, _without("postgresql")),
    "two redeploys and a rollback at once": (HUB, _three_at_once),
    "receivers gone when a tag is pushed": (FOLLOWS_A_TAG, _receivers_gone),
}


def chosen(names: Sequence[str]) -> Mapping[str, tuple[str, Fault]]:
    """The faults whose names have one of these words in them; all of them without words."""
    return {name: row for name, row in FAULTS.items() if not names or any(word in name for word in names)}


def main(names: Sequence[str]) -> int:
    """Returns 0 when every fault was survived."""
    sandbox, outcomes = open_sandbox(), list[Outcome]()
    with open_runs(sandbox) as runs:
        for name, (hub, fault) in chosen(names).items():
            print(name, flush=True)
            outcomes.append(_try(Installed(sandbox, runs, hub), name, fault))
            print(f"   {outcomes[-1]}", flush=True)
    return _show(outcomes)


def _try(where: Installed, name: str, fault: Fault) -> Outcome:
    """The fault, and then a look at the hub."""
    kept, began, wrong = where.precious(), time.monotonic(), list[str]()
    ending, hub = Ending("unexpected"), ""
    try:
        ending = fault(where)
    except (Unexpected, AssertionError, HubError) as error:
        wrong.append(str(error))
    seconds = time.monotonic() - began
    try:
        hub = where.settle()
    except Unexpected as error:
        wrong.append(str(error))
    now = where.precious()
    lost = ", ".join(one for one, uid in kept.items() if now.get(one) != uid)
    then = "; ".join([ending.then, *wrong]) if wrong else ending.then
    return Outcome(name, ending.runs, then, round(seconds, 1), hub, lost or "nothing", not wrong and not lost)


def _show(outcomes: Sequence[Outcome]) -> int:
    table = Table("fault", "the run", "then", "s", "hub", "lost", "")
    for one in outcomes:
        table.add_row(one.fault, one.runs, one.then[:120], str(one.seconds), one.hub[:80], one.lost, sign(one))
    return report(table, outcomes, FILE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
