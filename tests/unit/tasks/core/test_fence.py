"""The fence, at a Lease that is kept as the API server keeps one: by resourceVersion."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tasks.core import fence
from tasks.core.errors import Conflict, Permanent, Transient
from tasks.core.fence import Claim, FenceLost, Holder, hold_fence, read_holder
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import Body, Kind, WantedObject

MINE, THEIRS = Claim("n", "hub", "run one"), Claim("n", "hub", "run two")


class _Leases(Kubernetes):
    """One Lease, by the API server's rules: who replaces it must have seen the newest."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.before_write: Callable[[], None] = lambda: None

    def read(self, kind: Kind, name: str, namespace: str | None) -> Body | None:
        assert (kind.name, name, namespace) == ("Lease", "hub", "n")
        return self.lease

    def create(self, wanted: WantedObject) -> Body:
        if self.lease:
            raise Conflict("Kubernetes", "POST", "409", "")
        return self._keep(wanted)

    def replace(self, wanted: WantedObject) -> Body:
        self.before_write()
        seen = (self.lease or {"metadata": {}})["metadata"].get("resourceVersion")
        if wanted.body["metadata"].get("resourceVersion") != seen:
            raise Conflict("Kubernetes", "PUT", "409", "")
        return self._keep(wanted)

    def _keep(self, wanted: WantedObject) -> Body:
        version = int((self.lease or {"metadata": {"resourceVersion": "0"}})["metadata"]["resourceVersion"]) + 1
        self.lease = {**wanted.body, "metadata": {"resourceVersion": str(version)}}
        return self.lease

    @property
    def holder(self) -> str:
        assert self.lease
        return self.lease["spec"]["holderIdentity"]


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch) -> _Leases:
    for name, seconds in (("RENEW_SECONDS", 0.02), ("LOOK_SECONDS", 0.01), ("LEASE_SECONDS", 0.2)):
        monkeypatch.setattr(fence, name, seconds)
    monkeypatch.setattr(fence, "GIVE_UP_SECONDS", 0.15)
    return _Leases()


def _silent(_text: str) -> None:
    pass


def test_it_is_held_renewed_and_given_back(leases: _Leases) -> None:
    with hold_fence(leases, MINE, _silent) as held:
        first = leases.lease
        assert first
        assert leases.holder == "run one"
        _until(lambda: leases.lease is not first)
        held.check()
        assert leases.lease
        assert leases.lease["spec"]["acquireTime"] == first["spec"]["acquireTime"]
    assert leases.holder == ""


def test_a_second_run_waits_says_for_whom_and_gives_up(leases: _Leases) -> None:
    said: list[str] = []
    with (
        hold_fence(leases, MINE, _silent),
        pytest.raises(Permanent, match="run one has held it since"),
        hold_fence(leases, THEIRS, said.append, bound=0.5),
    ):
        pytest.fail("two runs hold it")
    assert len(said) == 1
    assert "run one has held it since" in said[0]


def test_who_looks_sees_a_holder_that_lives(leases: _Leases) -> None:
    with hold_fence(leases, MINE, _silent):
        assert read_holder(leases, "n", "hub", bound=5) == Holder("run one")
    assert read_holder(leases, "n", "hub", bound=5) == Holder()


def test_who_looks_knows_of_a_holder_that_died_once_its_lease_expired_and_writes_nothing(leases: _Leases) -> None:
    leases.create(MINE.lease("run one", None))
    before, started = leases.lease, time.monotonic()
    assert read_holder(leases, "n", "hub", bound=5) == Holder("run one", dead=True)
    assert time.monotonic() - started >= 0.2
    assert leases.lease is before


def test_a_holder_that_is_not_known_to_be_dead_lives(leases: _Leases) -> None:
    leases.create(MINE.lease("run one", None))
    assert read_holder(leases, "n", "hub", bound=0.05) == Holder("run one")


def test_where_no_fence_ever_was_nobody_is_at_work(leases: _Leases) -> None:
    assert read_holder(leases, "n", "hub", bound=5) == Holder()


def test_a_dead_holder_is_taken_over_once_its_lease_expired(leases: _Leases) -> None:
    leases.create(MINE.lease("run one", None))
    started = time.monotonic()
    with hold_fence(leases, THEIRS, _silent, bound=5):
        assert leases.holder == "run two"
        assert leases.lease
        assert leases.lease["spec"]["leaseTransitions"] == 1
    assert time.monotonic() - started >= 0.2


def test_a_clock_that_is_off_takes_nothing_from_a_live_holder(leases: _Leases) -> None:
    """The times in a Lease are its holder's: only that they change tells that it lives."""
    with hold_fence(leases, MINE, _silent) as held:
        assert leases.lease
        leases.lease["spec"]["renewTime"] = "2000-01-01T00:00:00.000000Z"
        with pytest.raises(Permanent, match="not within"), hold_fence(leases, THEIRS, _silent, bound=0.4):
            pytest.fail("two runs hold it")
        held.check()


def test_a_run_whose_lease_another_took_writes_no_more(leases: _Leases) -> None:
    with hold_fence(leases, MINE, _silent) as held:
        held.check()
        leases._keep(THEIRS.lease("run two", leases.lease))
        with pytest.raises(FenceLost, match="held by run two"):
            _until(held.check)
    assert leases.holder == "run two"


def test_a_run_that_cannot_renew_writes_no_more_before_another_may(leases: _Leases) -> None:
    def down() -> None:
        raise Transient("Kubernetes", "PUT", "cannot be reached", "")

    said: list[str] = []
    with hold_fence(leases, MINE, said.append) as held:
        leases.before_write = down
        with pytest.raises(FenceLost, match="not renewed for"):
            _until(held.check)
    assert said == [f"the fence could not be given back and expires in {fence.LEASE_SECONDS} s: cannot be reached"]


def test_what_the_lease_lost_for_a_moment_is_taken_up_again(leases: _Leases) -> None:
    with hold_fence(leases, MINE, _silent) as held:
        leases._keep(MINE.lease("run one", leases.lease))  # an answer that was lost: it was written all the same
        before = leases.lease
        _until(lambda: leases.lease is not before)
        held.check()


def _until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_takes_over_from_a_dead_run_knows_of_it(leases: _Leases) -> None:
    with suppress(KeyboardInterrupt), hold_fence(leases, MINE, _silent) as held:
        assert held.dead == ""
        raise KeyboardInterrupt
    with hold_fence(leases, THEIRS, _silent, bound=5) as held:
        assert held.dead == "run one"


@pytest.mark.parametrize(("end", "holder"), [(Permanent("s", "a", "b", "c"), ""), (KeyboardInterrupt(), "run one")])
def test_only_a_run_that_ends_by_itself_gives_it_back(leases: _Leases, end: BaseException, holder: str) -> None:
    """One that is cancelled leaves it to expire: the hub may be half changed."""
    with pytest.raises(type(end)), hold_fence(leases, MINE, _silent):
        raise end
    assert leases.holder == holder
