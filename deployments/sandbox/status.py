"""How the sandbox is: each part's health and address, and what a script needs to use it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from deployments.sandbox.addresses import HARBOR_URL, HUB, KEYCLOAK, PREFECT, REGISTRY
from deployments.sandbox.installation import installation_trouble
from deployments.sandbox.ownership import read_owner
from deployments.sandbox.parts import Part, all_parts
from deployments.sandbox.paths import Paths
from deployments.sandbox.probes import connect
from deployments.sandbox.supervisor import Supervisor
from tasks.core.errors import HubError

INSTALLATION = "hubwright"
"""What is installed in the cluster, beside the parts that make the cluster."""


@dataclass(frozen=True)
class PartStatus:
    """How one part is; ``detail`` says what is wrong with one that is not healthy."""

    name: str
    healthy: bool
    address: str
    detail: str


def read_status(paths: Paths) -> tuple[PartStatus, ...]:
    """Asks the supervisor and every part, all at once. Changes nothing."""
    parts = all_parts(paths)
    if read_owner(paths) != paths.state or not Supervisor(paths).answers():
        addresses = [(part.name, part.address) for part in parts] + [(INSTALLATION, PREFECT)]
        return tuple(PartStatus(name, False, address, "not running") for name, address in addresses)
    with ThreadPoolExecutor(max_workers=len(parts) + 1) as pool:
        installed = pool.submit(_read_installation, paths)
        return (*pool.map(partial(_read_part, Supervisor(paths)), parts), installed.result())


def _read_part(supervisor: Supervisor, part: Part) -> PartStatus:
    state = supervisor.state(part.name)
    detail = part.probe() if state == "RUNNING" else state.lower()
    return PartStatus(part.name, not detail, part.address, detail)


def _read_installation(paths: Paths) -> PartStatus:
    """How what is installed in the cluster is, with Prefect, by which all of it is used."""
    try:
        detail = installation_trouble(connect(paths.kubeconfig))
    except HubError as error:
        detail = str(error)
    return PartStatus(INSTALLATION, not detail, PREFECT, detail)


def as_document(paths: Paths, parts: Sequence[PartStatus]) -> dict[str, Any]:
    """The status as scripts read it."""
    return {
        "kubeconfig": str(paths.kubeconfig),
        "ca": str(paths.ca),
        "audit_log": str(paths.audit_log),
        "registry": REGISTRY,
        "prefect_url": PREFECT,
        "hub_url": HUB,
        "keycloak_url": KEYCLOAK,
        "harbor_url": HARBOR_URL,
        "parts": [
            {"name": part.name, "healthy": part.healthy, "address": part.address, "detail": part.detail}
            for part in parts
        ],
    }


def as_table(parts: Sequence[PartStatus]) -> Table:
    """The status as a person reads it."""
    table = Table("part", "health", Column("address", overflow="fold"), Column("detail", overflow="fold"))
    for part in parts:
        health = "[green]healthy[/]" if part.healthy else "[red]down[/]"
        table.add_row(part.name, health, escape(part.address), escape(part.detail))
    return table
