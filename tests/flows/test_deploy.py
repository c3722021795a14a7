"""The deploy flow in Prefect: which steps run in which order, and what a failure leads to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

import flows.deploy as module
from config.images import PinnedImage, PinnedImages
from config.profiles import profile_names
from tasks.core import task
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.fence import Fence, FenceLost
from tasks.core.problems import NotReady, Problem
from tasks.core.records import CheckResult, ReleaseRecord
from tasks.release.phase import DeployedRelease
from tasks.release.state import ChartArchive

IMAGES = PinnedImages(PinnedImage("registry.test", "team/notebook", "sha256:" + "0" * 64), None, None)
RELEASE = DeployedRelease(3, "jupyterhub-4.4.0", "sha256:" + "1" * 64, "sha256:" + "2" * 64)
PASSED = CheckResult(name="a user signs in", passed=True, detail="in", seconds=0.1)
FAILED = CheckResult(name="a user signs in", passed=False, detail="refused", seconds=0.1)
FENCE = cast("Fence", SimpleNamespace(waited=False))
CHANGE = Plan((Change.of(Action.CREATE, "Namespace jupyterhub-test"),))
LOOKS = (
    "pin_images", "fetch_chart", "check_cluster", "check_release", "check_monitoring", "want_values",
    "plan_cluster", "plan_release", "plan_monitoring",
)  # fmt: skip
WRITES = ("ensure_namespace", "ensure_cluster", "ensure_release", "ensure_monitoring", "check_hub")
CHART = ChartArchive(Path("chart.tgz"), RELEASE.chart, RELEASE.chart_digest)
WRONG = Problem("StorageClass fast", "there is none of that name", "choose another")

Steps = dict[str, Callable[..., Any]]


def _record(checks: tuple[CheckResult, ...]) -> ReleaseRecord:
    return ReleaseRecord(
        hub="sandbox-iav-v1", release="jupyterhub", revision=3, chart=RELEASE.chart, chart_digest=RELEASE.chart_digest,
        values_hash=RELEASE.values_hash, image=str(IMAGES.notebook), checks=checks, recorded_at=datetime.now(UTC),
    )  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The flow's steps, each by what it answers; what they are called in is the test's to see."""
    seen: list[str] = []
    answers: dict[str, Any] = {
        "check_cluster": (),
        "pin_images": IMAGES,
        "fetch_chart": CHART,
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
        monkeypatch.setattr(module, name, _step(name, lambda answer=answer: answer, seen))
    monkeypatch.setattr(module, "record_release", lambda _hub, _image, _release, checks, _fence: _record(checks))
    monkeypatch.setattr(module, "fence_of", lambda _hub: nullcontext(FENCE))
    return seen


def _step(name: str, act: Callable[[], Any], seen: list[str]) -> Callable[..., Any]:
    """A task of ours under a step's name."""

    def run(*_arguments: object) -> Any:
        seen.append(name)
        return act()

    return task.hub_task(name=name, description=name)(run)


def _fail(error: HubError) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


def test_steps_run_in_the_order_of_the_migration_plan(calls: list[str]) -> None:
    result = module.deploy("sandbox-iav-v1")
    looked = calls.index("ensure_namespace")
    assert sorted(calls[:looked]) == sorted(LOOKS)
    assert calls[looked:] == list(WRITES)
    assert result.plan == CHANGE
    assert result.checks == (PASSED,)


def test_when_nothing_is_to_be_changed_only_the_checks_are_left(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "plan_cluster", _step("plan_cluster", Plan, calls))
    result = module.deploy("sandbox-iav-v1")
    assert sorted(calls[:-1]) == sorted(LOOKS)
    assert calls[-1] == "check_hub"
    assert result.record is not None


def test_who_waited_for_the_fence_looks_again(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    waited = SimpleNamespace(waited=True)
    monkeypatch.setattr(module, "fence_of", lambda _hub: nullcontext(waited))
    module.deploy("sandbox-iav-v1")
    assert calls.count("plan_cluster") == calls.count("plan_release") == 2


def test_plan_only_stops_before_anything_is_changed(calls: list[str]) -> None:
    result = module.deploy("sandbox-iav-v1", plan_only=True)
    assert sorted(calls) == sorted(LOOKS)
    assert result.record is None


@pytest.mark.parametrize("step", ["ensure_cluster", "ensure_release", "check_hub"])
def test_a_failed_step_restores_and_ends_failed(calls: list[str], step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = Permanent("hub", "do it", "no", "mend it")
    monkeypatch.setattr(module, step, _step(step, _fail(error), calls))
    with pytest.raises(Permanent, match="do it"):
        module.deploy("sandbox-iav-v1")
    assert calls[-2:] == [step, "restore_release"]


def test_a_failed_check_restores_and_ends_failed(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "check_hub", _step("check_hub", lambda: (FAILED,), calls))
    with pytest.raises(Permanent, match="refused"):
        module.deploy("sandbox-iav-v1")
    assert calls[-1] == "restore_release"


def test_everything_that_is_missing_is_told_at_once(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "check_cluster", _step("check_cluster", lambda: (WRONG,), calls))
    no_image, no_chart = (Permanent(system, "look", "there is none", "push it") for system in ("registry", "chart"))
    monkeypatch.setattr(module, "pin_images", _step("pin_images", _fail(no_image), calls))
    monkeypatch.setattr(module, "fetch_chart", _step("fetch_chart", _fail(no_chart), calls))
    with pytest.raises(NotReady) as raised:
        module.deploy("sandbox-iav-v1")
    assert sorted(calls) == ["check_cluster", "check_monitoring", "check_release", "fetch_chart", "pin_images"]
    text = str(raised.value)
    assert "3 things are missing or wrong" in text
    assert all(part in text for part in ("StorageClass fast", "registry: look", "chart: look", "push it"))


def test_a_cluster_that_does_not_answer_is_told_once_with_what_is_wrong_elsewhere(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "RETRY_DELAYS_SECONDS", [0, 0, 0])
    down = Transient("Kubernetes", "GET /api", "cannot be reached", "check it")
    monkeypatch.setattr(module, "check_cluster", _step("check_cluster", _fail(down), calls))
    monkeypatch.setattr(module, "fetch_chart", _step("fetch_chart", _fail(Permanent("helm", "start", "no", "")), calls))
    with pytest.raises(NotReady, match="2 things are missing") as raised:
        module.deploy("sandbox-iav-v1")
    assert str(raised.value).count("cannot be reached") == 1
    assert set(calls) == {"pin_images", "fetch_chart", "check_cluster", "check_monitoring", "want_values"}


def test_what_is_good_to_know_stops_nothing(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    soon = Problem("Secret tls", "its certificate expires soon", "renew it", fatal=False)
    monkeypatch.setattr(module, "check_cluster", _step("check_cluster", lambda: (soon,), calls))
    assert module.deploy("sandbox-iav-v1").record is not None


def test_a_run_that_lost_the_fence_restores_nothing(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lost = FenceLost("fence", "hold it", "it is held by another", "look")
    monkeypatch.setattr(module, "ensure_release", _step("ensure_release", _fail(lost), calls))
    with pytest.raises(FenceLost):
        module.deploy("sandbox-iav-v1")
    assert calls[-1] == "ensure_release"


@pytest.mark.parametrize("step", ["plan_cluster", "plan_release"])
def test_a_plan_that_fails_restores_nothing(calls: list[str], step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, step, _step(step, _fail(Permanent("hub", "look", "no", "mend it")), calls))
    with pytest.raises(Permanent):
        module.deploy("sandbox-iav-v1")
    assert sorted(calls) == sorted(LOOKS)


@pytest.mark.parametrize(("error", "times"), [(Transient, 4), (Permanent, 1)])
def test_only_what_may_go_away_is_tried_again(
    calls: list[str], error: type[HubError], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "RETRY_DELAYS_SECONDS", [0, 0, 0])
    step = _step("plan_cluster", _fail(error("Kubernetes", "read", "no", "wait")), calls)
    monkeypatch.setattr(module, "plan_cluster", step)
    with pytest.raises(error):
        module.deploy("sandbox-iav-v1")
    assert calls.count("plan_cluster") == times


def test_plan_checks_and_link_are_pictures_in_the_ui(calls: list[str]) -> None:
    assert not calls
    module.deploy("sandbox-iav-v1")
    names = [f"{kind}-sandbox-iav-v1" for kind in ("plan", "checks", "link")]
    with get_client(sync_client=True) as client:
        keys = ArtifactFilter(key=ArtifactFilterKey(any_=names))
        found = {artifact.key: artifact for artifact in client.read_artifacts(artifact_filter=keys)}
    assert found.keys() == set(names)
    assert "Namespace jupyterhub-test" in str(found["plan-sandbox-iav-v1"].data)
    assert "https://jupyterhub-test.example.internal" in str(found["link-sandbox-iav-v1"].data)


def test_the_ui_offers_the_profiles_that_exist() -> None:
    schema = module.deploy.parameters.model_dump()["properties"]
    assert schema["profile"]["enum"] == profile_names()
    assert schema["plan_only"]["default"] is False
