"""The work pools: where flows run, and how many at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkPool

from deployments.register.installation import Installation
from deployments.register.server import SYSTEM, Server
from tasks.core.change import Action, Change, Plan, compare
from tasks.core.errors import Permanent

KUBERNETES = "kubernetes"


def ensure_pools(server: Server, installation: Installation) -> None:
    """Every pool is there, with its template and limit. One that somebody paused stays so. Raises Permanent."""
    for name, template in installation.pools.items():
        ensure_pool(server, name, {"base_job_template": template, "concurrency_limit": installation.limits.get(name)})


def ensure_pool(server: Server, name: str, wanted: Mapping[str, Any]) -> None:
    """The pool is there, for Kubernetes, as wanted."""
    seen = server.find(f"read work pool {name}", server.client.read_work_pool, name)
    what = f"work pool {name}"
    if seen is None:
        made = WorkPoolCreate(name=name, type=KUBERNETES, **wanted)
        server.write(Plan((Change.of(Action.CREATE, what),)), server.client.create_work_pool, made)
        return
    changes = plan_pool(what, seen, wanted)
    if not changes.empty:
        server.write(changes, server.client.update_work_pool, name, WorkPoolUpdate(**wanted))


def plan_pool(what: str, seen: WorkPool, wanted: Mapping[str, Any]) -> Plan:
    """What has to change of a pool that is there. Raises Permanent when it is of another type: Prefect changes none."""
    if seen.type != KUBERNETES:
        remedy = "delete that pool in Prefect's UI, or name it otherwise; then run again"
        raise Permanent(SYSTEM, f"use {what}", f"it is of type {seen.type}, not {KUBERNETES}", remedy)
    return compare(what, {name: getattr(seen, name) for name in wanted}, wanted)
