"""A look at what Helm made: each of its objects beside what it was rendered to."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from config.spec import Hub
from tasks.core.change import Plan
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import Body
from tasks.release.drift import kind_of, plan_drift

READERS = 8
"""Objects are read so many at a time."""


def read_drift(hub: Hub, kubernetes: Kubernetes, objects: Sequence[Body]) -> Plan:
    """What somebody changed by hand in the objects of a release. Reads only."""

    def read(rendered: Body) -> Body | None:
        kind = kind_of(rendered)
        assert kind
        return kubernetes.read(kind, rendered["metadata"]["name"], hub.cluster.namespace)

    rendered = [found for found in objects if kind_of(found)]
    with ThreadPoolExecutor(READERS) as pool:
        return plan_drift(zip(rendered, pool.map(read, rendered), strict=True))
