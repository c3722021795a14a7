"""The fence: a Lease in the hub's namespace, so that only one run at a time changes a hub."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.core.errors import Conflict, HubError, Permanent, Transient
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import LEASE, Body, WantedObject
from tasks.core.wait import wait_until

LEASE_SECONDS = 40
"""A holder that has not renewed for so long is taken for dead."""
RENEW_SECONDS = 5
GIVE_UP_SECONDS = 30
"""A holder that could not renew for so long writes no more: before anybody else may, whatever the clocks say."""
LOOK_SECONDS = 1
BOUND_SECONDS = 1800
NOBODY = ""
"""The holder of a Lease that was given back."""


class FenceLost(Permanent):
    """This run may write no more: another one may be at work on the hub."""


class FenceHeld(Permanent):
    """Another run has the fence, and had it for as long as this one would wait."""


@dataclass(frozen=True)
class Claim:
    """Whose fence it is that is wanted: the Lease's namespace and name, and what is to be its holder."""

    namespace: str
    name: str
    holder: str

    def lease(self, holder: str, seen: Body | None) -> WantedObject:
        """The Lease as it is written for a holder, over the one that was seen. (coordination.k8s.io/v1)"""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        before = (seen or {}).get("spec", {})
        same = before.get("holderIdentity") == holder
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": before["acquireTime"] if same else now,
            "renewTime": now,
            "leaseTransitions": before.get("leaseTransitions", 0) + (0 if same or seen is None else 1),
        }
        version = {"resourceVersion": seen["metadata"]["resourceVersion"]} if seen else {}
        return WantedObject(LEASE, self.name, self.namespace, {"metadata": version, "spec": spec})


class Fence:
    """A Lease that this process holds and keeps renewing, until it is given back or lost."""

    waited: bool
    """Whether somebody else had it first, and may have changed the hub."""
    dead: str
    """The holder that it was taken over from, who died at work on the hub; "" when it was free."""

    def __init__(self, claim: Claim, kubernetes: Kubernetes, taken: _Taken, *, waited: bool) -> None:
        self.waited = waited
        self.dead = taken.dead
        self._claim = claim
        self._kubernetes = kubernetes
        self._lease = taken.lease
        self._renewed = time.monotonic()
        self._lost_to = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="fence", daemon=True)

    def check(self) -> None:
        """Raises FenceLost when this run may not write any more. Asked before each write."""
        since = time.monotonic() - self._renewed
        if self._lost_to or since > GIVE_UP_SECONDS:
            answered = f"it is held by {self._lost_to}" if self._lost_to else f"not renewed for {since:.0f} s"
            remedy = "look what else changes this hub, and whether the API server answered; then run again from the top"
            raise FenceLost("fence", f"hold Lease {self._claim.name}", answered, remedy)

    def start(self) -> None:
        """It is renewed from now on, by a thread of its own."""
        self._thread.start()

    def give_back(self) -> None:
        """Nobody holds it. A Lease that was lost is left alone, and one that cannot be given back expires."""
        self._ended.set()
        self._thread.join(GIVE_UP_SECONDS)
        if not self._lost_to:
            self._kubernetes.replace(self._claim.lease(NOBODY, self._lease))

    def abandon(self) -> None:
        """It is not renewed any more, and expires as this run's."""
        self._ended.set()

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_SECONDS) and not self._lost_to:
            asked = time.monotonic()
            try:
                self._lease = self._kubernetes.replace(self._claim.lease(self._claim.holder, self._lease))
                self._renewed = asked
            except Conflict:
                self._look()
            except HubError:
                continue  # it is tried again soon; check() says when it was too long

    def _look(self) -> None:
        try:
            seen = self._kubernetes.read(LEASE, self._claim.name, self._claim.namespace)
        except HubError:
            return
        holder = (seen or {}).get("spec", {}).get("holderIdentity", NOBODY)
        if seen and holder == self._claim.holder:
            self._lease = seen
        else:
            self._lost_to = holder or "nobody: it was given back or deleted"


@contextmanager
def hold_fence(
    kubernetes: Kubernetes, claim: Claim, say: Callable[[str], None], *, bound: float = BOUND_SECONDS
) -> Generator[Fence]:
    """This run alone changes the hub, as long as ``check`` of what is given does not raise.

    Waits for another holder up to ``bound`` seconds, and takes over from one that has not renewed for the
    time that its Lease says. Raises FenceHeld, naming the holder, when the bound has passed.

    It is given back by a run that ends by itself, and left to expire by one that is ended (a signal, a cancelled
    run): so whoever comes next knows that the hub may be half changed.
    """
    reasons: list[str] = []

    def waiting(reason: str) -> None:
        if reason not in reasons:
            say(f"waiting for the fence: {reason}")
            reasons.append(reason)

    taken = _take(kubernetes, claim, waiting, bound)
    fence = Fence(claim, kubernetes, taken, waited=bool(reasons))
    fence.start()
    try:
        yield fence
    except HubError:
        _give_back(fence, say)
        raise
    except BaseException:
        fence.abandon()
        raise
    _give_back(fence, say)


def _give_back(fence: Fence, say: Callable[[str], None]) -> None:
    try:
        fence.give_back()
    except (Conflict, Transient) as error:
        say(f"the fence could not be given back and expires in {LEASE_SECONDS} s: {error.answered}")


@dataclass(frozen=True)
class Holder:
    """Who has a fence, as somebody sees it who does not take it."""

    name: str = NOBODY
    dead: bool = False
    """Whether it died at work on the hub."""


def read_holder(kubernetes: Kubernetes, namespace: str, name: str, *, bound: float) -> Holder:
    """Who has the fence. Reads only, and waits for its next renewal: that alone tells whether the holder lives.

    One that within ``bound`` seconds neither renews it nor lets it expire is taken to live.
    """

    def read() -> Body:
        return (kubernetes.read(LEASE, name, namespace) or {}).get("spec", {})

    watch, deadline = _Watch(), time.monotonic() + bound
    first = spec = read()
    while holder := spec.get("holderIdentity", NOBODY):
        if watch.expired(spec):
            return Holder(holder, dead=True)
        if spec.get("renewTime") != first.get("renewTime") or time.monotonic() > deadline:
            return Holder(holder)
        time.sleep(LOOK_SECONDS)
        spec = read()
    return Holder()


@dataclass(frozen=True)
class _Taken:
    """The Lease as it is once it is ours, and the holder that had died, if one had it before."""

    lease: Body
    dead: str = NOBODY


@dataclass
class _Watch:
    """How long a Lease has been as it is, by this machine's own steady clock: clocks may differ between machines."""

    mark: tuple[Any, ...] = ()
    since: float = 0.0

    def expired(self, spec: Body) -> bool:
        mark = (spec.get("holderIdentity"), spec.get("renewTime"))
        if mark != self.mark:
            self.mark, self.since = mark, time.monotonic()
        return time.monotonic() - self.since >= spec.get("leaseDurationSeconds", LEASE_SECONDS)


def _take(kubernetes: Kubernetes, claim: Claim, say: Callable[[str], None], bound: float) -> _Taken:
    watch, taken = _Watch(), list[_Taken]()

    def missing() -> str:
        seen = kubernetes.read(LEASE, claim.name, claim.namespace)
        spec: Body = (seen or {}).get("spec", {})
        holder = spec.get("holderIdentity", NOBODY)
        if holder not in (NOBODY, claim.holder) and not watch.expired(spec):
            return f"{holder} has held it since {spec.get('acquireTime', 'an unknown time')}"
        try:
            dead = NOBODY if holder == claim.holder else holder
            taken.append(_Taken(_write(kubernetes, claim, seen), dead))
        except Conflict:
            return "somebody else was faster"
        return ""

    remedy = "wait for that run to end, or cancel it; a dead one is taken over by itself"
    asked = f"take Lease {claim.name}"
    try:
        wait_until("fence", asked, missing, seconds=bound, remedy=remedy, say=say, every=LOOK_SECONDS)
    except Permanent as error:
        if error.asked != asked:  # the API server's own refusal
            raise
        raise FenceHeld("fence", asked, error.answered, remedy) from error
    return taken[0]


def _write(kubernetes: Kubernetes, claim: Claim, seen: Body | None) -> Body:
    wanted = claim.lease(claim.holder, seen)
    return kubernetes.replace(wanted) if seen else kubernetes.create(wanted)
