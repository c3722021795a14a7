"""The deploy flow in Prefect: which steps run in which order, and what a failure leads to."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

import flows.deploy as module
from config.profiles import profile_names
from flows.endings import PLANNED
from tasks.core import task
from tasks.core.change import Plan
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.fence import FenceLost
from tasks.core.problems import NotReady, Problem
from tasks.core.record import CheckResult
from tasks.release.state import ReleasePlan
from tests.flows.steps import BACK, CHANGE, LOOKS, PASSED, PROOF, TOLD, WRITES, fail, stand_in

FAILED = CheckResult(name="a user signs in", passed=False, detail="refused", seconds=0.1)
WRONG = Problem("StorageClass fast", "there is none of that name", "choose another")


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
    monkeypatch.setattr(module, "plan_cluster", stand_in("plan_cluster", Plan, calls))
    result = module.deploy("sandbox-iav-v1")
    assert sorted(calls[: len(LOOKS)]) == sorted(LOOKS)
    assert calls[len(LOOKS) :] == [*PROOF, TOLD]
    assert result.record is not None


def test_who_waited_for_the_fence_looks_again(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    waited = SimpleNamespace(waited=True)
    monkeypatch.setattr(module, "fence_of", lambda _hub: nullcontext(waited))
    module.deploy("sandbox-iav-v1")
    assert calls.count("plan_cluster") == calls.count("plan_release") == 2


def test_plan_only_stops_before_anything_is_changed(calls: list[str]) -> None:
    state = module.deploy("sandbox-iav-v1", plan_only=True, return_state=True)
    assert (state.type, state.name) == ("COMPLETED", PLANNED)
    assert sorted(calls) == sorted(LOOKS)
    result: module.DeployResult = state.result()  # type: ignore[assignment]
    assert result.plan == CHANGE
    assert result.record is None


def test_an_empty_plan_ends_as_ever(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "plan_cluster", stand_in("plan_cluster", Plan, calls))
    assert module.deploy("sandbox-iav-v1", plan_only=True, return_state=True).name == "Completed"


@pytest.mark.parametrize("step", ["ensure_cluster", "ensure_release", "check_hub"])
def test_a_failed_step_restores_and_ends_failed(calls: list[str], step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = Permanent("hub", "do it", "no", "mend it")
    monkeypatch.setattr(module, step, stand_in(step, fail(error), calls))
    with pytest.raises(Permanent, match="do it"):
        module.deploy("sandbox-iav-v1")
    assert calls[calls.index(step) :] == [step, "read_records", *BACK]


def test_a_failed_check_restores_and_ends_failed(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "check_hub", stand_in("check_hub", lambda: (FAILED,), calls))
    with pytest.raises(Permanent, match="refused"):
        module.deploy("sandbox-iav-v1")
    assert calls[calls.index("check_hub") :] == [*PROOF[:-1], "read_records", *BACK]


def test_everything_that_is_missing_is_told_at_once(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "check_cluster", stand_in("check_cluster", lambda: (WRONG,), calls))
    no_image, no_chart = (Permanent(system, "look", "there is none", "push it") for system in ("registry", "chart"))
    monkeypatch.setattr(module, "pin_images", stand_in("pin_images", fail(no_image), calls))
    monkeypatch.setattr(module, "fetch_chart", stand_in("fetch_chart", fail(no_chart), calls))
    with pytest.raises(NotReady) as raised:
        module.deploy("sandbox-iav-v1")
    assert sorted(calls) == [
        "check_cluster",
        "check_database",
        "check_monitoring",
        "check_release",
        "fetch_chart",
        "look_at_harbor",
        "pin_images",
    ]
    text = str(raised.value)
    assert "3 things are missing or wrong" in text
    assert all(part in text for part in ("StorageClass fast", "registry: look", "chart: look", "push it"))


def test_a_cluster_that_does_not_answer_is_told_once_with_what_is_wrong_elsewhere(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "RETRY_DELAYS_SECONDS", [0, 0, 0])
    down = Transient("Kubernetes", "GET /api", "cannot be reached", "check it")
    monkeypatch.setattr(module, "check_cluster", stand_in("check_cluster", fail(down), calls))
    monkeypatch.setattr(
        module, "fetch_chart", stand_in("fetch_chart", fail(Permanent("helm", "start", "no", "")), calls)
    )
    with pytest.raises(NotReady, match="2 things are missing") as raised:
        module.deploy("sandbox-iav-v1")
    assert str(raised.value).count("cannot be reached") == 1
    assert set(calls) == set(LOOKS[:4]) | {"check_monitoring", "check_database", "want_values"}


def test_what_is_good_to_know_stops_nothing(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    soon = Problem("Secret tls", "its certificate expires soon", "renew it", fatal=False)
    monkeypatch.setattr(module, "check_cluster", stand_in("check_cluster", lambda: (soon,), calls))
    assert module.deploy("sandbox-iav-v1").record is not None


def test_a_run_that_lost_the_fence_restores_nothing(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lost = FenceLost("fence", "hold it", "it is held by another", "look")
    monkeypatch.setattr(module, "ensure_release", stand_in("ensure_release", fail(lost), calls))
    with pytest.raises(FenceLost):
        module.deploy("sandbox-iav-v1")
    assert calls[-1] == "ensure_release"


@pytest.mark.parametrize("step", ["plan_cluster", "plan_release"])
def test_a_plan_that_fails_restores_nothing(calls: list[str], step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, step, stand_in(step, fail(Permanent("hub", "look", "no", "mend it")), calls))
    with pytest.raises(Permanent):
        module.deploy("sandbox-iav-v1")
    assert set(calls) <= set(LOOKS)


@pytest.mark.parametrize(("error", "times"), [(Transient, 4), (Permanent, 1)])
def test_only_what_may_go_away_is_tried_again(
    calls: list[str], error: type[HubError], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "RETRY_DELAYS_SECONDS", [0, 0, 0])
    failing = stand_in("plan_cluster", fail(error("Kubernetes", "read", "no", "wait")), calls)
    monkeypatch.setattr(module, "plan_cluster", failing)
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


def test_users_are_told_before_the_proxy_restarts(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    planned = ReleasePlan(CHANGE, None, ("hub", "proxy"))
    monkeypatch.setattr(module, "plan_release", stand_in("plan_release", lambda: planned, calls))
    module.deploy("sandbox-iav-v1")
    assert calls.index("announce_restart") == calls.index("ensure_release") - 1


def test_a_hub_restart_alone_is_not_announced(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    planned = ReleasePlan(CHANGE, None, ("hub",))
    monkeypatch.setattr(module, "plan_release", stand_in("plan_release", lambda: planned, calls))
    module.deploy("sandbox-iav-v1")
    assert "announce_restart" not in calls
