"""The steps of the flows, each by what it answers: what the tests see is which are called, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import flows.deploy as module
import flows.going_back as way
from config.images import PinnedImage, PinnedImages
from tasks.core import task
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import HubError
from tasks.core.fence import Fence
from tasks.core.record import CheckResult, ReleaseRecord, newest_healthy, record_of
from tasks.release.health import Health, SeenHealth
from tasks.release.state import ChartArchive, DeployedRelease, ReleasePlan

IMAGES = PinnedImages(PinnedImage("registry.test", "team/notebook", "sha256:" + "0" * 64), None, None)
RELEASE = DeployedRelease(3, "jupyterhub-4.4.0", "sha256:" + "1" * 64, {"hub": {}}, "hub:5")
PASSED = CheckResult(name="a user signs in", passed=True, detail="in", seconds=0.1)
FAILED = CheckResult(name="code runs", passed=False, detail="it printed nothing", seconds=0.1)
FENCE = cast("Fence", SimpleNamespace(waited=False, dead=""))
CHANGE = Plan((Change.of(Action.CREATE, "Namespace jupyterhub-test"),))
LOOKS = (
    "pin_images", "fetch_chart", "look_at_harbor", "check_cluster", "check_release", "check_monitoring",
    "check_database", "want_values", "plan_cluster", "plan_release", "plan_monitoring", "plan_backup",
)  # fmt: skip
PROOF = ("check_hub", "read_schema", "record_release", "keep_secrets")
TOLD = "read_records"
"""What the UI's table of healthy releases is made from, at the end."""
WRITES = (
    "ensure_namespace", "ensure_cluster", "set_up_harbor", "back_up_database", "ensure_release", "record_release",
    "ensure_monitoring", *PROOF, TOLD,
)  # fmt: skip
BACK = (
    "restore_cluster", "plan_release_back", "restore_database", "restore_release", "record_release",
    "ensure_monitoring", "check_hub", "read_schema", "record_release",
)  # fmt: skip
"""What going back does, on a hub with a shared password."""
CHART = ChartArchive(Path("chart.tgz"), RELEASE.chart, RELEASE.chart_digest)


def record(checks: tuple[CheckResult, ...], revision: int = 3, origin: int | None = None) -> ReleaseRecord:
    return ReleaseRecord(
        hub="sandbox-iav-v1", release="jupyterhub", revision=revision, chart=RELEASE.chart,
        chart_digest=RELEASE.chart_digest, values_hash="sha256:" + "2" * 64, image=str(IMAGES.notebook),
        origin=origin, checks=checks, recorded_at=datetime.now(UTC),
    )  # fmt: skip


RECORDS = (record((PASSED,), 2), record((PASSED,), 1))
"""Of two healthy releases, the newest of which runs."""


def seen(health: Health, revision: int = 3, records: tuple[ReleaseRecord, ...] = RECORDS) -> SeenHealth:
    return SeenHealth(health, f"it is {health}", revision, record_of(records, revision), newest_healthy(records))


def replace_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every step of the flow answers at once; returns their names, in the order in which they are called."""
    seen: list[str] = []
    answers: dict[str, Any] = {
        "check_cluster": (),
        "pin_images": IMAGES,
        "fetch_chart": CHART,
        "look_at_harbor": Plan(),
        "set_up_harbor": None,
        "plan_protection": Plan(),
        "protect_image": None,
        "check_release": (),
        "check_monitoring": (),
        "check_database": (),
        "want_values": {"hub": {}},
        "plan_cluster": CHANGE,
        "plan_release": ReleasePlan(Plan(), RELEASE),
        "plan_monitoring": Plan(),
        "plan_backup": Plan(),
        "ensure_namespace": CHANGE,
        "ensure_cluster": CHANGE,
        "ensure_release": RELEASE,
        "ensure_monitoring": Plan(),
        "back_up_database": None,
        "announce_restart": None,
        "check_hub": (PASSED,),
        "read_schema": "abc",
        "keep_secrets": None,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(module, name, stand_in(name, lambda answer=answer: answer, seen))
    replace_way_back(monkeypatch, seen)
    monkeypatch.setattr(module, "record_release", recording(seen))
    monkeypatch.setattr(module, "fence_of", lambda _hub: nullcontext(FENCE))
    return seen


def replace_way_back(monkeypatch: pytest.MonkeyPatch, seen: list[str]) -> None:
    """Every step of going back answers at once; revision 2 is the newest healthy release."""
    answers: dict[str, Any] = {
        "read_records": RECORDS,
        "plan_release_back": ReleasePlan(CHANGE, replaces="hub:5"),
        "plan_database_back": Plan(),
        "plan_monitoring": Plan(),
        "restore_database": Plan(),
        "restore_release": DeployedRelease(4, RELEASE.chart, RELEASE.chart_digest, {}, "hub:5"),
        "ensure_monitoring": Plan(),
        "check_hub": (PASSED,),
        "read_schema": "abc",
    }
    for name, answer in answers.items():
        monkeypatch.setattr(way, name, stand_in(name, lambda answer=answer: answer, seen))
    for name in ("restore_cluster", "plan_cluster_back"):
        monkeypatch.setattr(way.cluster, name, stand_in(name, Plan, seen))
    monkeypatch.setattr(way, "record_release", recording(seen))


def recording(seen: list[str]) -> Callable[..., ReleaseRecord]:
    """The task that records, which needs what it is given."""

    def run(
        _hub: object, _image: object, release: DeployedRelease, _fence: object,
        checks: tuple[CheckResult, ...] = (), origin: int | None = None, _schema: str | None = None,
    ) -> ReleaseRecord:  # fmt: skip
        seen.append("record_release")
        return record(checks, release.revision, origin)

    return run


def stand_in(name: str, act: Callable[[], Any], seen: list[str]) -> Callable[..., Any]:
    """A task of ours under a step's name."""

    def run(*_arguments: object) -> Any:
        seen.append(name)
        return act()

    return task.hub_task(name=name, description=name)(run)


def fail(error: HubError) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act
