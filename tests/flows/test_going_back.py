"""Going back in Prefect: by a failed deploy, by hand, and by a schedule; and what keeps it from going round."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

import flows.converge as converging
import flows.deploy as deploying
import flows.going_back as way
import flows.rollback as rolling
from config.profiles import load_profile
from flows.converge import Outcome
from tasks.core.change import Plan
from tasks.core.errors import Permanent
from tasks.core.fence import FenceHeld, FenceLost
from tasks.core.record import CheckResult, ReleaseRecord, newest_healthy, record_of
from tasks.release.health import Health, SeenHealth
from tasks.release.state import DeployedRelease
from tests.flows.steps import BACK, CHANGE, PASSED, PROOF, RELEASE, TOLD, fail, record, stand_in

FAILED = CheckResult(name="code runs", passed=False, detail="it printed nothing", seconds=0.1)
BROKEN = Permanent("helm", "upgrade", "no", "mend it")
RECORDS = (record((PASSED,), 2), record((PASSED,), 1))


def seen(
    health: Health, revision: int = 3, records: tuple[ReleaseRecord, ...] = RECORDS, dead: str = ""
) -> tuple[SeenHealth, Any]:
    found = SeenHealth(health, f"it is {health}", revision, record_of(records, revision), newest_healthy(records))
    return found, SimpleNamespace(waited=bool(dead), dead=dead)


@pytest.fixture
def back(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps of rollback and converge too; the newest revision is 2."""
    for name, answer in (
        ("read_records", RECORDS),
        ("check_database", ()),
        ("look_at_health", seen(Health.HEALTHY, 2)[0]),
    ):
        for module in (rolling, converging):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, stand_in(name, lambda answer=answer: answer, calls))
    monkeypatch.setattr(rolling, "fence_of", lambda _hub: nullcontext(SimpleNamespace(waited=False, dead="")))
    return calls


def test_the_first_deploy_that_fails_has_nothing_to_go_back_to(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "read_records", stand_in("read_records", tuple, calls))
    monkeypatch.setattr(deploying, "ensure_release", stand_in("ensure_release", fail(BROKEN), calls))
    with pytest.raises(Permanent, match="upgrade"):
        deploying.deploy("sandbox-iav-v1")
    assert calls[-2:] == ["ensure_release", "read_records"]


def test_a_run_that_changed_nothing_of_what_is_healthy_leaves_it_alone(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = record((PASSED,), RELEASE.revision)
    monkeypatch.setattr(way, "read_records", stand_in("read_records", lambda: (running, *RECORDS), calls))
    monkeypatch.setattr(deploying, "plan_cluster", stand_in("plan_cluster", Plan, calls))
    monkeypatch.setattr(deploying, "check_hub", stand_in("check_hub", lambda: (FAILED,), calls))
    with pytest.raises(Permanent, match="it printed nothing"):
        deploying.deploy("sandbox-iav-v1")
    assert calls[-4:] == [*PROOF[:-1], "read_records"]


@pytest.mark.parametrize("step", ["restore_database", "restore_release", "check_hub"])
def test_a_going_back_that_fails_does_not_hide_why_the_deploy_did(
    calls: list[str], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploying, "ensure_release", stand_in("ensure_release", fail(BROKEN), calls))
    monkeypatch.setattr(way, step, stand_in(step, fail(Permanent("hub", "go back", "no", "")), calls))
    with pytest.raises(Permanent, match="upgrade"):
        deploying.deploy("sandbox-iav-v1")
    assert calls[-1] == step


def test_what_cannot_be_turned_round_keeps_nothing_else_from_going_back(
    back: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Permanent("Kubernetes", "PATCH Role", "403", "")
    monkeypatch.setattr(way.cluster, "restore_cluster", stand_in("restore_cluster", fail(refused), back))
    with pytest.raises(Permanent, match="PATCH Role"):
        rolling.rollback("sandbox-iav-v1")
    assert back[-len(BACK) :] == list(BACK)


def test_a_going_back_that_lost_the_fence_stops_at_once(back: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lost = FenceLost("fence", "hold it", "it is held by another", "look")
    monkeypatch.setattr(way.cluster, "restore_cluster", stand_in("restore_cluster", fail(lost), back))
    with pytest.raises(FenceLost):
        rolling.rollback("sandbox-iav-v1")
    assert back[-1] == "restore_cluster"


def test_by_hand_it_goes_to_the_release_before(back: list[str]) -> None:
    result = rolling.rollback("sandbox-iav-v1")
    assert result.to == 1
    assert result.record
    assert result.record.origin == 1
    assert back[-len(BACK) - 1 :] == [*BACK, TOLD]


def test_a_plan_of_going_back_touches_nothing(back: list[str]) -> None:
    result = rolling.rollback("sandbox-iav-v1", to=2, plan_only=True)
    assert result.plan == CHANGE
    assert result.record is None
    assert not {"restore_cluster", "restore_database", "restore_release", "record_release"} & set(back)


@pytest.mark.parametrize(
    ("to", "said"),
    [(3, "its checks did not pass"), (9, "there is no record of it"), (None, "there is none")],
)
def test_a_wrong_choice_is_told_with_the_right_ones(
    back: list[str], to: int | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = (record((FAILED,), 3), *RECORDS) if to else RECORDS[1:]
    monkeypatch.setattr(rolling, "read_records", stand_in("read_records", lambda: records, back))
    monkeypatch.setattr(rolling, "look_at_health", stand_in("look_at_health", lambda: seen(Health.HEALTHY, 1)[0], back))
    with pytest.raises(Permanent, match=said) as raised:
        rolling.rollback("sandbox-iav-v1", to=to)
    assert ("2, 1" if to else "1") in raised.value.remedy
    assert "restore_release" not in back


def test_a_rollback_whose_checks_fail_says_so_and_stops(back: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "check_hub", stand_in("check_hub", lambda: (FAILED,), back))
    with pytest.raises(Permanent, match="it printed nothing"):
        rolling.rollback("sandbox-iav-v1")
    assert back.count("restore_release") == 1
    assert back[-1] == "record_release"


def test_two_rollbacks_at_once_mean_the_same_release(back: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waited, and the first went back from 2 to 1: it does not go on to the one before that."""
    answers = iter([RECORDS, (record((PASSED,), 3, origin=1), *RECORDS)])
    monkeypatch.setattr(rolling, "read_records", stand_in("read_records", lambda: next(answers), back))
    monkeypatch.setattr(rolling, "fence_of", lambda _hub: nullcontext(SimpleNamespace(waited=True, dead="")))
    assert rolling.rollback("sandbox-iav-v1").to == 1


@contextmanager
def _held(_hub: object, **_options: object) -> Any:
    raise FenceHeld("fence", "take it", "happy-otter has held it since noon", "wait")
    yield


def test_converge_leaves_a_run_to_its_work(back: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converging, "fence_of", _held)
    result = converging.converge("sandbox-iav-v1")
    assert result.outcome is Outcome.IN_PROGRESS
    assert "happy-otter" in result.reason
    assert back == []


UNDONE = record((), 3, origin=1)
"""Going back to 1 that was ended before its checks."""


@pytest.mark.parametrize(
    ("looked", "outcome", "target"),
    [
        (seen(Health.ABSENT, 0), Outcome.NOTHING, None),
        (seen(Health.HEALTHY, 2), Outcome.NOTHING, None),
        (seen(Health.HEALTHY, 2, dead="happy-otter"), Outcome.RESTORED, 2),
        (seen(Health.BROKEN), Outcome.RESTORED, 2),
        (seen(Health.FAILED), Outcome.RESTORED, 2),
        (seen(Health.UNPROVED), Outcome.PROVED, None),
        (seen(Health.UNPROVED, 3, (UNDONE, *RECORDS)), Outcome.RESTORED, 1),
    ],
    ids=["absent", "healthy", "healthy, and a run died", "broken", "failed", "unproved", "a going back, unproved"],
)
def test_converge_does_what_is_left_to_do(
    back: list[str],
    looked: tuple[SeenHealth, Any],
    outcome: Outcome,
    target: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    health, fence = looked
    targets: list[ReleaseRecord] = []
    monkeypatch.setattr(converging, "look_at_health", stand_in("look_at_health", lambda: health, back))
    monkeypatch.setattr(converging, "fence_of", lambda _hub, **_options: nullcontext(fence))

    def restore(_hub: object, aim: ReleaseRecord, _fence: object) -> DeployedRelease:
        targets.append(aim)
        return DeployedRelease(4, RELEASE.chart, RELEASE.chart_digest, {}, "hub:5")

    monkeypatch.setattr(way, "restore_release", restore)
    assert converging.converge("sandbox-iav-v1").outcome is outcome
    assert [one.revision for one in targets] == ([target] if target else [])
    assert ("ensure_release" in back) == (outcome is Outcome.PROVED)


def test_converge_says_when_there_is_nothing_to_go_back_to(back: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    health, fence = seen(Health.BROKEN, records=())
    monkeypatch.setattr(converging, "look_at_health", stand_in("look_at_health", lambda: health, back))
    monkeypatch.setattr(converging, "fence_of", lambda _hub, **_options: nullcontext(fence))
    with pytest.raises(Permanent, match="there is none, and it is broken"):
        converging.converge("sandbox-iav-v1")


def test_the_hub_is_as_the_record_has_it(back: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    profile = load_profile("sandbox-iav-v1").model_dump(mode="json") | {"name": "as-it-was"}
    old = record((PASSED,), 1).model_copy(update={"profile": profile})
    monkeypatch.setattr(rolling, "read_records", stand_in("read_records", lambda: (RECORDS[0], old), back))
    hubs: list[str] = []
    monkeypatch.setattr(way, "check_hub", lambda hub, _image: (hubs.append(hub.name), (PASSED,))[1])
    assert rolling.rollback("sandbox-iav-v1").record
    assert hubs == ["as-it-was"]


def test_a_profile_that_is_not_valid_any_more_gives_way_to_the_present_one(
    back: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = record((PASSED,), 1).model_copy(update={"profile": {"name": "of an older Hubwright"}})
    monkeypatch.setattr(rolling, "read_records", stand_in("read_records", lambda: (RECORDS[0], old), back))
    assert rolling.rollback("sandbox-iav-v1").record
