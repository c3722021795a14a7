"""Watching pods: what is said, what ends the waiting, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.core.errors import Permanent, Transient
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import Body, Kind
from tasks.core.pods import GRACE_SECONDS, PodWatch

BAD_IMAGE = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x": not found'}}
CRASHED = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}


def _pod(state: dict[str, Any], **status: Any) -> dict[str, Any]:
    container = {"name": "hub", "image": "x", "ready": False, "restartCount": 0, "state": state, **status}
    return {
        "metadata": {"name": "hub-1", "uid": "1", "creationTimestamp": "2026-03-01T12:00:00Z"},
        "spec": {"containers": [{"name": "hub", "image": "x"}]},
        "status": {"phase": "Pending", "containerStatuses": [container]},
    }


def _refused(owner: str) -> dict[str, Any]:
    involved = {"kind": "ReplicaSet", "name": owner, "uid": owner}
    said = 'pods "x" is forbidden: exceeded quota: team'
    time = "2026-03-01T13:00:00Z"
    return {"involvedObject": involved, "reason": "FailedCreate", "message": said, "lastTimestamp": time}


class _Cluster(Kubernetes):
    """A namespace with these pods, ReplicaSets and events."""

    def __init__(self, *pods: Body) -> None:
        self.found: dict[str, tuple[Body, ...]] = {"Pod": pods, "Event": (), "ReplicaSet": ()}
        self.down = False

    def list(self, kind: Kind, namespace: str | None, labels: str = "") -> tuple[Body, ...]:
        assert namespace == "n"
        assert bool(labels) == (kind.name != "Event")
        if self.down:
            raise Transient("Kubernetes", "GET", "cannot be reached", "")
        return self.found[kind.name]

    def read_log(self, pod: str, namespace: str, container: str, lines: int, *, previous: bool) -> str:
        assert (pod, namespace, container, lines) == ("hub-1", "n", "hub", 10)
        return "Traceback\nNo module named x\n" if previous else ""


class _Watched:
    """A watch, what it says, and its clock."""

    def __init__(self, cluster: _Cluster) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.watch = PodWatch(cluster, "n", "component=hub", self.said.append, clock=lambda: self.now)

    def look_after(self, seconds: float) -> None:
        self.now += seconds
        self.watch.look()


def test_what_pods_wait_for_is_said_once() -> None:
    watched = _Watched(_Cluster(_pod({"waiting": {"reason": "ContainerCreating"}})))
    watched.look_after(0)
    watched.look_after(60)
    assert watched.said == ["waiting: hub-1: ContainerCreating"]


def test_trouble_that_stands_ends_the_waiting_with_cause_and_remedy() -> None:
    watched = _Watched(_Cluster(_pod(BAD_IMAGE)))
    watched.look_after(0)
    watched.look_after(GRACE_SECONDS - 1)
    with pytest.raises(Permanent, match=r"start Pod hub-1: .*not found") as raised:
        watched.look_after(1)
    assert raised.value.remedy


def test_trouble_that_went_away_starts_from_the_beginning() -> None:
    cluster = _Cluster(_pod(BAD_IMAGE))
    watched = _Watched(cluster)
    watched.look_after(0)
    cluster.found["Pod"] = (_pod({"running": {}}),)
    watched.look_after(GRACE_SECONDS - 1)
    cluster.found["Pod"] = (_pod(BAD_IMAGE),)
    watched.look_after(1)
    watched.look_after(GRACE_SECONDS - 1)
    with pytest.raises(Permanent):
        watched.look_after(1)


def test_a_crash_comes_with_the_last_words_of_what_crashed() -> None:
    watched = _Watched(_Cluster(_pod(CRASHED, restartCount=2)))
    watched.look_after(0)
    with pytest.raises(Permanent, match="No module named x"):
        watched.look_after(GRACE_SECONDS)


def test_a_cluster_that_does_not_answer_does_not_end_the_waiting() -> None:
    cluster = _Cluster(_pod({"running": {}}))
    watched = _Watched(cluster)
    cluster.down = True
    watched.look_after(0)
    watched.look_after(60)
    assert watched.said == ["waiting: cannot be reached"]


@pytest.mark.parametrize(("owner", "ends"), [("hub-6d5f", True), ("somebody-elses", False)])
def test_only_our_own_replica_sets_count(owner: str, ends: bool) -> None:
    cluster = _Cluster()
    watched = _Watched(cluster)
    cluster.found |= {"Event": (_refused(owner),), "ReplicaSet": ({"metadata": {"name": "hub-6d5f"}},)}
    watched.look_after(0)
    if ends:
        with pytest.raises(Permanent, match="exceeded quota"):
            watched.look_after(GRACE_SECONDS)
    else:
        watched.look_after(GRACE_SECONDS)


def test_what_was_said_before_is_not_about_what_comes_now() -> None:
    cluster = _Cluster()
    cluster.found |= {"Event": (_refused("hub-6d5f"),), "ReplicaSet": ({"metadata": {"name": "hub-6d5f"}},)}
    watched = _Watched(cluster)
    watched.look_after(0)
    watched.look_after(GRACE_SECONDS)
    assert watched.said == []
