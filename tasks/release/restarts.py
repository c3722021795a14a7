"""Which of the hub's own pods a release makes anew, and which image the hub runs: from rendered objects. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tasks.core.change import Action, Change, Plan
from tasks.core.objects import DEPLOYMENT, Body

HUB, PROXY = "hub", "proxy"
MEANING = {
    HUB: "restarts: notebooks go on, and their connections stay open",
    PROXY: "restarts: notebooks go on, and their connections are closed for some seconds; users are told before",
}


def restarting(before: Iterable[Body], after: Iterable[Body]) -> tuple[str, ...]:
    """Names of the Deployments that there were before, and whose pods would be others."""
    old, new = _templates(before), _templates(after)
    return tuple(name for name in sorted(old) if name in new and new[name] != old[name])


def edited(drift: Iterable[Change]) -> tuple[str, ...]:
    """Names of the Deployments whose pods were edited by hand, and are others once that is taken back."""
    words = (change.what.split(" ") for change in drift)
    templates = (one for one in words if one[0] == DEPLOYMENT.name and one[2:] and one[2].startswith("spec.template"))
    return tuple(sorted({name for _, name, *_ in templates}))


def plan_restarts(names: Iterable[str]) -> Plan:
    """One line for each Deployment whose pods are made anew, with what that means for users."""
    return Plan(
        tuple(Change.of(Action.UPDATE, f"Pods of {name}", "run", MEANING.get(name, "restart")) for name in names)
    )


def hub_image(objects: Iterable[Body]) -> str:
    """The image of the hub's container; "" without a hub."""
    return str(_containers(objects).get("image", ""))


def _containers(objects: Iterable[Body]) -> Body:
    containers = _templates(objects).get(HUB, {}).get("spec", {}).get("containers", ())
    return next((one for one in containers if one["name"] == HUB), {})


def _templates(objects: Iterable[Body]) -> dict[str, dict[str, Any]]:
    kind = (DEPLOYMENT.api_version, DEPLOYMENT.name)
    found = (one for one in objects if (one["apiVersion"], one["kind"]) == kind)
    return {one["metadata"]["name"]: one["spec"]["template"] for one in found}
