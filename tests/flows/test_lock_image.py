"""The lock-image flow in Prefect: it proposes, or writes, and shows what newer packages there are."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

import flows.lock_image as module
from config.images import PinnedImage
from tasks.core.change import Action, Change, Plan
from tasks.core.problems import NotReady, Problem
from tasks.image.locks import Locks
from tasks.image.phase import NewLocks
from tests.flows.steps import stand_in

BASE = PinnedImage("r.test", "base", "sha256:" + "0" * 64)
NEWER = NewLocks(Locks("3.11", "x86_64", {}, {}, (), {}), Plan((Change(Action.UPDATE, "own tabulate", "1", "2"),)))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    answers = {"check_engine": (), "pin_base": BASE, "read_base": None, "lock_packages": NEWER, "keep_locks": None}
    for name, answer in answers.items():
        monkeypatch.setattr(module, name, stand_in(name, lambda answer=answer: answer, seen))
    return seen


@pytest.mark.parametrize("propose", [True, False])
def test_locks_are_written_unless_that_is_only_proposed(calls: list[str], *, propose: bool) -> None:
    assert module.lock_image("sandbox", propose=propose) == NEWER.plan
    looked = ["check_engine", "pin_base", "read_base", "lock_packages"]
    assert calls == (looked if propose else [*looked, "keep_locks"])


def test_a_run_that_nobody_told_otherwise_only_proposes(calls: list[str]) -> None:
    module.lock_image("sandbox")
    assert "keep_locks" not in calls


def test_what_newer_packages_change_is_a_picture_in_the_ui(calls: list[str]) -> None:
    assert not calls
    module.lock_image("sandbox")
    with get_client(sync_client=True) as client:
        keys = ArtifactFilter(key=ArtifactFilterKey(any_=["upgrades-sandbox"]))
        assert any("own tabulate" in str(found.data) for found in client.read_artifacts(artifact_filter=keys))


def test_without_an_engine_that_can_build_nothing_is_resolved(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = (Problem("disk", "it is full", "free some"),)
    monkeypatch.setattr(module, "check_engine", stand_in("check_engine", lambda: full, calls))
    with pytest.raises(NotReady, match="it is full"):
        module.lock_image("sandbox")
    assert calls == ["check_engine"]
