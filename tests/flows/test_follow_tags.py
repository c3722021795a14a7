"""The scheduled look at a hub's tag: it makes good what was missed, once, and undoes nothing that a person did."""

from __future__ import annotations

from datetime import timedelta

import pytest

import flows.follow_tags as module
from config.spec import Hub
from flows.follow_tags import FollowResult
from flows.redeploy import start_redeploy
from tasks.core.errors import Permanent
from tasks.core.record import ReleaseRecord
from tasks.registry.following import Followed
from tests.flows.redeploying import NOW, A, B, new_hub, pushed, runs_of
from tests.flows.steps import record
from tests.harbors import hub_with


def recorded(image: str, minutes: int, revision: int = 1, origin: int | None = None) -> ReleaseRecord:
    """A release that was recorded so long after a certain time."""
    changed = {"image": f"registry.example.com/iav/tools/base-notebook@{image}"}
    return record((), revision, origin).model_copy(update={**changed, "recorded_at": NOW + timedelta(minutes=minutes)})


def follow(monkeypatch: pytest.MonkeyPatch, hub: Hub, tag: Followed | None, *records: ReleaseRecord) -> FollowResult:
    """What a look ends with."""
    monkeypatch.setattr(module, "load_profile", lambda _name: hub)
    monkeypatch.setattr(module, "read_tag", lambda _hub: tag)
    monkeypatch.setattr(module, "read_records", lambda _hub: records)
    # The profile's name is one that there is; the deployment's schema wants the hub's, as an installation has it.
    monkeypatch.setattr(
        module, "start_redeploy", lambda hub, _profile, followed: start_redeploy(hub, hub.name, followed)
    )
    return module.follow_tags("iav-v1")


def test_a_push_that_nobody_told_of_is_deployed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = new_hub()
    first = follow(monkeypatch, hub, pushed(B), recorded(A, -9))
    assert (first.made, first.digest) == (True, B)
    again = follow(monkeypatch, hub, pushed(B), recorded(A, -9))
    assert (again.made, again.run) == (False, first.run)
    assert "already" in again.reason
    assert [run.parameters["image"] for run in runs_of(hub)] == [B]


def test_receiver_and_look_make_one_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = new_hub()
    started = start_redeploy(hub, hub.name, pushed(B))
    result = follow(monkeypatch, hub, pushed(B), recorded(A, -9))
    assert (result.run, result.made) == (started.run, False)
    assert len(runs_of(hub)) == 1


def test_what_the_hub_runs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = new_hub()
    result = follow(monkeypatch, hub, pushed(B), recorded(B, 1, 2), recorded(A, -9))
    assert (result.reason, result.run) == ("the hub runs it", None)
    assert runs_of(hub) == []


@pytest.mark.parametrize("records", [
    (recorded(A, 9, 3, 1), recorded(B, 1, 2), recorded(A, -9)),  # deployed, and then gone back from
    (recorded(A, 9, 3, 1), recorded(f"sha256:{'c' * 64}", -5, 2), recorded(A, -9)),  # never deployed, and gone back
    (),  # taken down
])  # fmt: skip
def test_what_a_person_did_since_is_not_undone(
    records: tuple[ReleaseRecord, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = new_hub()
    assert follow(monkeypatch, hub, pushed(B), *records).run is None
    assert runs_of(hub) == []


def test_a_hub_that_awaits_scans_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    part = {"url": "https://h.example.internal/harbor", "authorization": {"env": "NONE"}, "deploy_on": "scan"}
    result = follow(monkeypatch, hub_with(webhook=part), pushed(B), recorded(A, -9))
    assert (result.reason, result.run) == ("its scan is not over: none was begun", None)


def test_a_hub_without_a_webhook_and_a_tag_that_is_not_there_are_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no registry.harbor.webhook" in follow(monkeypatch, hub_with(), pushed(B)).reason
    assert follow(monkeypatch, new_hub(), None).reason == "Harbor does not have this tag"


def test_a_hub_that_is_not_registered_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Permanent, match="no such deployment"):
        follow(monkeypatch, new_hub(registered=False), pushed(B), recorded(A, -9))
