"""Objects that are to be gone: what that changes, and having it so. For the end of a hub alone."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.core.change import Action, Change, Plan
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import WantedObject


def plan_removal(kubernetes: Kubernetes, unwanted: Iterable[WantedObject]) -> Plan:
    """A line for each of them that is there. Reads only."""
    return Plan(tuple(Change.of(Action.DELETE, one.title) for one in _present(kubernetes, unwanted)))


def ensure_removed(kubernetes: Kubernetes, unwanted: Iterable[WantedObject]) -> None:
    """None of them is there, or each is on its way out. Writes nothing where they were gone."""
    for one in _present(kubernetes, unwanted):
        kubernetes.delete(one.kind, one.name, one.namespace)


def _present(kubernetes: Kubernetes, unwanted: Iterable[WantedObject]) -> list[WantedObject]:
    return [one for one in unwanted if kubernetes.read(one.kind, one.name, one.namespace)]
