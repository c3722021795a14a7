"""Watching pods on their way: what they wait for is said, and one that cannot start ends the waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from tasks.core.diagnosis import Diagnosis, diagnose, event_time
from tasks.core.errors import Permanent, Transient
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import EVENT, POD, REPLICA_SET, Body
from tasks.core.remedies import Trouble

GRACE_SECONDS = 12.0
"""A trouble that stands for so long does not go away by itself. Some do, like a name service that hiccups; and a
cluster's autoscaler, which looks every 10 s, has said by then that a node is coming."""
LOG_LINES = 10
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class PodWatch:
    """The pods of one namespace that match labels, from now on. Call ``look`` about once a second."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        namespace: str,
        labels: str,
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._labels = labels
        self._say = say
        self._clock = clock
        self._said: set[str] = set()
        self._standing: dict[tuple[Trouble, str], float] = {}
        self._since = self._newest_event() + timedelta(microseconds=1)

    def look(self) -> None:
        """What is new is said. Raises Permanent, with cause and remedy, when a pod cannot start."""
        try:
            pods = self._kubernetes.list(POD, self._namespace, self._labels)
            found = diagnose(pods, self._events(), self._since)
        except Transient as error:
            # Who waits for the pods may outlast it; a look at them must not end that.
            self._say_once({error.answered})
            return
        self._say_once({pod_phrase(pod) for pod in pods})
        self._judge(found, pods)

    def _judge(self, found: Sequence[Diagnosis], pods: Sequence[Body]) -> None:
        now = self._clock()
        marks = {(one.trouble, one.what): one for one in found}
        self._standing = {mark: self._standing.get(mark, now) for mark in marks}
        for mark, since in self._standing.items():
            if now - since >= GRACE_SECONDS:
                one = self._with_log(marks[mark], pods)
                raise Permanent("Kubernetes", f"start {one.what}", one.cause, one.remedy)

    def _with_log(self, one: Diagnosis, pods: Sequence[Body]) -> Diagnosis:
        """A crash with its last words: those of the container that ended, or of the one that runs since."""
        if one.container is None:
            return one
        [pod] = [name for found in pods if one.what == f"Pod {(name := found['metadata']['name'])}"]
        logs = (
            self._kubernetes.read_log(pod, self._namespace, one.container, LOG_LINES, previous=previous)
            for previous in (True, False)
        )
        return one.with_log(next(filter(None, logs), ""))

    def _events(self) -> tuple[Body, ...]:
        """Those of the namespace, less what is said of ReplicaSets that are none of ours."""
        events = self._kubernetes.list(EVENT, self._namespace)
        about = {_about(event) for event in events} - {""}
        if not about:
            return events
        ours = {
            found["metadata"]["name"] for found in self._kubernetes.list(REPLICA_SET, self._namespace, self._labels)
        }
        return tuple(event for event in events if _about(event) in {"", *ours})

    def _newest_event(self) -> datetime:
        """By the cluster's clock, since ours may be another: what was said before is not about what comes now."""
        try:
            events = self._kubernetes.list(EVENT, self._namespace)
        except Transient:
            return BEGINNING
        return max((event_time(event) for event in events), default=BEGINNING)

    def _say_once(self, phrases: set[str]) -> None:
        for phrase in sorted(phrases - self._said):
            self._say(f"waiting: {phrase}")
        self._said |= phrases


def _about(event: Body) -> str:
    """The ReplicaSet that an event is about; "" for anything else."""
    involved = event.get("involvedObject") or {}
    return str(involved.get("name", "")) if involved.get("kind") == REPLICA_SET.name else ""


def pod_phrase(pod: Body) -> str:
    """A pod's state in a few words: ``hub-6d: ContainerCreating``, ``proxy-5f: ready``."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    containers = status.get("containerStatuses", [])
    waiting = [
        entry["state"]["waiting"].get("reason", "waiting") for entry in containers if entry["state"].get("waiting")
    ]
    if pod["metadata"].get("deletionTimestamp"):
        return f"{name}: stopping"
    if waiting:
        return f"{name}: {', '.join(waiting)}"
    if containers and all(entry["ready"] for entry in containers):
        return f"{name}: ready"
    return f"{name}: {status.get('phase', 'Unknown')}, not ready"
