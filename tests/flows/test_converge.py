"""Converge in Prefect: what a look tells, and what is put right by a run that may."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest

import flows.converge as converging
import flows.deploy as deploying
import flows.going_back as way
from config.profiles import load_profile
from flows.__main__ import Exit, main
from flows.converge import ConvergeResult, Outcome
from flows.endings import DRIFT
from tasks.core.change import Plan
from tasks.core.errors import Permanent
from tasks.core.fence import FenceHeld, Holder
from tasks.core.record import ReleaseRecord
from tasks.core.task import hub_task
from tasks.release.health import Health, SeenHealth
from tasks.release.state import DeployedRelease, ReleasePlan
from tests.flows.steps import CHANGE, IMAGES, LOOKS, PASSED, RECORDS, RELEASE, record, seen, stand_in

HUB = "sandbox-iav-v1"
UNDONE = record((), 3, origin=1)
"""Going back to 1 that was ended before its checks."""
WENT_BACK = record((PASSED,), 4, origin=1)
FREE, AT_WORK, DIED = Holder(), Holder("happy-otter"), Holder("happy-otter", dead=True)
READS = {*LOOKS, "read_records", "look_at_health", "plan_release_back", "plan_cluster_back", "plan_database_back"}

Answer = Callable[..., None]


@pytest.fixture
def answer(back: list[str], monkeypatch: pytest.MonkeyPatch) -> Answer:
    """What the hub is like: how healthy, who has the fence, and what a deploy or going back would change."""

    def set_up(health: SeenHealth, holder: Holder = FREE, plan: Plan = CHANGE, dead: str = "") -> None:
        fence = SimpleNamespace(waited=bool(dead), dead=dead)
        monkeypatch.setattr(converging, "look_at_health", stand_in("look_at_health", lambda: health, back))
        monkeypatch.setattr(converging, "holder_of", lambda _hub: holder)
        monkeypatch.setattr(converging, "fence_of", lambda _hub, **_options: nullcontext(fence))
        monkeypatch.setattr(deploying, "plan_cluster", stand_in("plan_cluster", lambda: plan, back))
        change = ReleasePlan(plan, replaces="hub:5")
        monkeypatch.setattr(way, "plan_release_back", stand_in("plan_release_back", lambda: change, back))

    return set_up


@pytest.fixture
def pinned(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The digests that are asked for as the notebook's image, None for that of the profile's tag."""
    digests: list[str | None] = []

    @hub_task(name="pin_images", description="pin_images")
    def pin(_hub: object, digest: str | None = None) -> object:
        calls.append("pin_images")
        digests.append(digest)
        return IMAGES

    monkeypatch.setattr(deploying, "pin_images", pin)
    return digests


@contextmanager
def _taken(_hub: object, **_options: object) -> Generator[None]:
    raise AssertionError("a look takes no fence")
    yield


@contextmanager
def _held(_hub: object, **_options: object) -> Generator[None]:
    raise FenceHeld("fence", "take it", "happy-otter has held it since noon", "wait")
    yield


@pytest.mark.parametrize(
    ("health", "holder", "plan", "drift"),
    [
        (seen(Health.HEALTHY, 2), FREE, Plan(), None),
        (seen(Health.HEALTHY, 2), FREE, CHANGE, "it is not as its profile says: create Namespace jupyterhub-test"),
        (seen(Health.HEALTHY, 2), DIED, Plan(), "happy-otter died at work on this hub"),
        (seen(Health.BROKEN), FREE, Plan(), "it is broken"),
        (seen(Health.FAILED), FREE, Plan(), "it is failed"),
        (seen(Health.UNPROVED), DIED, Plan(), "happy-otter died at work on this hub; it is unproved"),
        (SeenHealth(Health.ABSENT, "there is none"), FREE, Plan(), "though revision 2 had passed its checks"),
    ],
    ids=["as it should be", "changed", "a run died", "broken", "failed", "unproved", "gone"],
)
def test_a_look_tells_what_is_wrong_and_writes_nothing(
    back: list[str],
    answer: Answer,
    health: SeenHealth,
    holder: Holder,
    plan: Plan,
    drift: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(health, holder, plan)
    monkeypatch.setattr(converging, "fence_of", _taken)
    state = converging.converge(HUB, return_state=True)
    result: ConvergeResult = state.result()  # type: ignore[assignment]
    assert (state.type, state.name) == ("COMPLETED", DRIFT if drift else "Completed")
    assert result.outcome is (Outcome.DRIFT if drift else Outcome.NOTHING)
    assert (drift or "it is as its profile says") in result.reason
    assert state.message == result.reason if drift else True
    assert set(back) <= READS


def test_a_look_leaves_a_run_to_its_work(back: list[str], answer: Answer) -> None:
    answer(seen(Health.BROKEN), AT_WORK)
    result = converging.converge(HUB)
    assert result.outcome is Outcome.IN_PROGRESS
    assert "happy-otter" in result.reason
    assert back == []


def test_a_hub_that_nobody_deployed_or_that_was_taken_down_is_no_drift(
    back: list[str], answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(SeenHealth(Health.ABSENT, "there is none"))
    monkeypatch.setattr(converging, "read_records", stand_in("read_records", tuple, back))
    assert converging.converge(HUB).outcome is Outcome.NOTHING


def test_what_was_deployed_is_looked_for_wherever_the_tag_went_since(answer: Answer, pinned: list[str | None]) -> None:
    answer(seen(Health.HEALTHY, 2), plan=Plan())
    assert converging.converge(HUB).outcome is Outcome.NOTHING
    assert pinned == [IMAGES.notebook.digest]


def test_another_image_in_the_profile_is_what_should_be_there(answer: Answer, pinned: list[str | None]) -> None:
    profile = load_profile(HUB).model_dump(mode="json")
    profile["image"]["reference"] = "registry.example.com/iav/base-notebook:older"
    old = record((PASSED,), 2).model_copy(update={"profile": profile})
    answer(seen(Health.HEALTHY, 2, (old, RECORDS[1])))
    converging.converge(HUB)
    assert pinned == [None]


@pytest.mark.parametrize("plan", [Plan(), CHANGE])
def test_a_hub_that_went_back_should_be_as_it_was_then(
    back: list[str], answer: Answer, plan: Plan, pinned: list[str | None]
) -> None:
    answer(seen(Health.HEALTHY, 4, (WENT_BACK, *RECORDS)), plan=plan)
    result = converging.converge(HUB)
    assert result.outcome is (Outcome.NOTHING if plan.empty else Outcome.DRIFT)
    assert "as revision 1 was, to which it went back" in result.reason
    assert result.plan == plan
    assert pinned == []
    assert "plan_release_back" in back


@pytest.mark.parametrize(
    ("health", "dead", "plan", "outcome", "target"),
    [
        (SeenHealth(Health.ABSENT, "there is none"), "", CHANGE, Outcome.DRIFT, None),
        (seen(Health.HEALTHY, 2), "", Plan(), Outcome.NOTHING, None),
        (seen(Health.HEALTHY, 2), "", CHANGE, Outcome.DEPLOYED, None),
        (seen(Health.HEALTHY, 2), "happy-otter", CHANGE, Outcome.RESTORED, 2),
        (seen(Health.HEALTHY, 4, (WENT_BACK, *RECORDS)), "", Plan(), Outcome.NOTHING, None),
        (seen(Health.HEALTHY, 4, (WENT_BACK, *RECORDS)), "", CHANGE, Outcome.RESTORED, 4),
        (seen(Health.BROKEN), "", CHANGE, Outcome.RESTORED, 2),
        (seen(Health.FAILED), "", CHANGE, Outcome.RESTORED, 2),
        (seen(Health.UNPROVED), "", CHANGE, Outcome.PROVED, None),
        (seen(Health.UNPROVED, 3, (UNDONE, *RECORDS)), "", CHANGE, Outcome.RESTORED, 1),
    ],
    ids=[
        "gone", "as it should be", "changed", "a run died", "went back", "went back, and changed", "broken", "failed",
        "unproved", "a going back, unproved",
    ],
)  # fmt: skip
def test_repair_does_what_is_left_to_do(
    back: list[str],
    answer: Answer,
    health: SeenHealth,
    dead: str,
    plan: Plan,
    outcome: Outcome,
    target: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(health, plan=plan, dead=dead)
    targets: list[ReleaseRecord] = []

    def restore(_hub: object, aim: ReleaseRecord, _fence: object) -> DeployedRelease:
        targets.append(aim)
        return DeployedRelease(5, RELEASE.chart, RELEASE.chart_digest, {}, "hub:5")

    monkeypatch.setattr(way, "restore_release", restore)
    assert converging.converge(HUB, repair=True).outcome is outcome
    assert [one.revision for one in targets] == ([target] if target else [])
    assert ("ensure_release" in back) == (outcome in (Outcome.PROVED, Outcome.DEPLOYED))


def test_repair_deploys_the_image_that_was_deployed(answer: Answer, pinned: list[str | None]) -> None:
    answer(seen(Health.HEALTHY, 2))
    assert converging.converge(HUB, repair=True).outcome is Outcome.DEPLOYED
    assert set(pinned) == {IMAGES.notebook.digest}


def test_repair_leaves_a_run_to_its_work(back: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converging, "fence_of", _held)
    result = converging.converge(HUB, repair=True)
    assert result.outcome is Outcome.IN_PROGRESS
    assert "happy-otter" in result.reason
    assert back == []


def test_repair_says_when_there_is_nothing_to_go_back_to(answer: Answer) -> None:
    answer(seen(Health.BROKEN, records=()))
    with pytest.raises(Permanent, match="there is none, and it is broken"):
        converging.converge(HUB, repair=True)


@pytest.mark.parametrize(("plan", "code"), [(Plan(), Exit.DONE), (CHANGE, Exit.CHANGES)])
def test_a_script_learns_of_drift_by_the_exit_code(
    answer: Answer, plan: Plan, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(seen(Health.HEALTHY, 2), plan=plan)
    assert main(["converge", HUB]) is code
    assert ("otherwise than it should be" in capsys.readouterr().out) == bool(code)
