"""Going back in Prefect: by a failed deploy, and by hand; and what keeps it from going round."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

import flows.deploy as deploying
import flows.going_back as way
import flows.rollback as rolling
from config.profiles import load_profile
from flows.endings import PLANNED
from tasks.core.change import Plan
from tasks.core.errors import Permanent
from tasks.core.fence import FenceLost
from tasks.release.health import Health
from tests.flows.steps import (
    BACK,
    CHANGE,
    FAILED,
    PASSED,
    PROOF,
    RECORDS,
    RELEASE,
    TOLD,
    fail,
    record,
    seen,
    stand_in,
)

BROKEN = Permanent("helm", "upgrade", "no", "mend it")


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
    state = rolling.rollback("sandbox-iav-v1", to=2, plan_only=True, return_state=True)
    assert (state.type, state.name) == ("COMPLETED", PLANNED)
    result: rolling.RollbackResult = state.result()  # type: ignore[assignment]
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
    monkeypatch.setattr(rolling, "look_at_health", stand_in("look_at_health", lambda: seen(Health.HEALTHY, 1), back))
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
