"""The steps of the deploy flow, each by what it answers: what the tests see is which are called, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import flows.deploy as module
from config.images import PinnedImage, PinnedImages
from tasks.core import task
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import HubError
from tasks.core.fence import Fence
from tasks.core.records import CheckResult, ReleaseRecord
from tasks.release.phase import DeployedRelease
from tasks.release.state import ChartArchive

IMAGES = PinnedImages(PinnedImage("registry.test", "team/notebook", "sha256:" + "0" * 64), None, None)
RELEASE = DeployedRelease(3, "jupyterhub-4.4.0", "sha256:" + "1" * 64, "sha256:" + "2" * 64)
PASSED = CheckResult(name="a user signs in", passed=True, detail="in", seconds=0.1)
FENCE = cast("Fence", SimpleNamespace(waited=False))
CHANGE = Plan((Change.of(Action.CREATE, "Namespace jupyterhub-test"),))
LOOKS = (
    "pin_images", "fetch_chart", "look_at_harbor", "check_cluster", "check_release", "check_monitoring", "want_values",
    "plan_cluster", "plan_release", "plan_monitoring",
)  # fmt: skip
WRITES = ("ensure_namespace", "ensure_cluster", "set_up_harbor", "ensure_release", "ensure_monitoring", "check_hub")
CHART = ChartArchive(Path("chart.tgz"), RELEASE.chart, RELEASE.chart_digest)


def record(checks: tuple[CheckResult, ...]) -> ReleaseRecord:
    return ReleaseRecord(
        hub="sandbox-iav-v1", release="jupyterhub", revision=3, chart=RELEASE.chart, chart_digest=RELEASE.chart_digest,
        values_hash=RELEASE.values_hash, image=str(IMAGES.notebook), checks=checks, recorded_at=datetime.now(UTC),
    )  # fmt: skip


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
        "want_values": {"hub": {}},
        "plan_cluster": CHANGE,
        "plan_release": (Plan(), RELEASE),
        "plan_monitoring": Plan(),
        "ensure_namespace": CHANGE,
        "ensure_cluster": CHANGE,
        "ensure_release": RELEASE,
        "ensure_monitoring": Plan(),
        "check_hub": (PASSED,),
        "restore_release": None,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(module, name, stand_in(name, lambda answer=answer: answer, seen))
    monkeypatch.setattr(module, "record_release", lambda _hub, _image, _release, checks, _fence: record(checks))
    monkeypatch.setattr(module, "fence_of", lambda _hub: nullcontext(FENCE))
    return seen


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
