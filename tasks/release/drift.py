"""What somebody changed by hand in the objects that Helm made. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from tasks.core.change import Action, Change, Plan
from tasks.core.differences import MISSING, differences
from tasks.core.objects import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    INGRESS,
    NETWORK_POLICY,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Body,
    Kind,
)

KINDS = {
    (kind.api_version, kind.name): kind
    for kind in (
        CLAIM, CONFIG_MAP, DEPLOYMENT, DISRUPTION_BUDGET, INGRESS, NETWORK_POLICY,
        ROLE, ROLE_BINDING, SECRET, SERVICE, SERVICE_ACCOUNT,
    )
}  # fmt: skip
"""What the chart makes in the hub's own namespace, with the values that we give it."""
NOT_COMPARED = frozenset({"apiVersion", "kind", "status"})


def kind_of(rendered: Body) -> Kind | None:
    """The kind of a rendered object; None for one that is not looked at."""
    return KINDS.get((rendered["apiVersion"], rendered["kind"]))


def plan_drift(pairs: Iterable[tuple[Body, Body | None]]) -> Plan:
    """What brings each object that is there back to what Helm rendered it to; None stands for one that is gone."""
    return Plan(tuple(change for rendered, seen in pairs for change in _changes(rendered, seen)))


def _changes(rendered: Body, seen: Body | None) -> Iterable[Change]:
    what = f"{rendered['kind']} {rendered['metadata']['name']}"
    if seen is None:
        yield Change.of(Action.CREATE, what)
        return
    wanted = {key: value for key, value in rendered.items() if key not in NOT_COMPARED}
    for path, before, after in differences(_without_nulls(wanted), seen):
        action = Action.CREATE if before is MISSING else Action.UPDATE
        if rendered["kind"] == SECRET.name:
            yield Change.hidden(action, f"{what} {path}")
        else:
            yield Change.of(action, f"{what} {path}", "" if before is MISSING else before, after)


def _without_nulls(value: Any) -> Any:
    """A template that renders to null says that the field is not set."""
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    return {key: _without_nulls(inner) for key, inner in fields.items() if inner is not None}
