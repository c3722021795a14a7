"""The deployments: what people start in the UI, and what runs by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule

from deployments.register.declared import OURS, OURS_SLUG, Declared, DeclaredSchedule
from deployments.register.form import form_of
from deployments.register.server import PAGE, Server
from tasks.core.change import Action, Change, Plan, compare

UNLISTED = "unlisted"
"""Tag of a deployment that was paused here because no hub has it: such a one alone is resumed later."""

log = logging.getLogger(__name__)


def ensure_deployments(server: Server, declared: Iterable[Declared]) -> dict[str, UUID]:
    """Every deployment is as declared, and those that no hub has are paused; returns their ids by full name."""
    ids = {one.full_name: ensure_deployment(server, one) for one in declared}
    pause_unlisted(server, frozenset(ids.values()))
    return ids


def ensure_deployment(server: Server, declared: Declared) -> UUID:
    """The deployment is as declared. What a person paused stays so; tags and schedules of their own stay."""
    name, what = declared.full_name, f"deployment {declared.full_name}"
    wanted = wanted_fields(declared)
    seen = server.find(f"read {what}", server.client.read_deployment_by_name, name)
    if seen is None:
        return _create(server, declared, what, wanted)
    wanted["tags"] = sorted({*wanted["tags"], *seen.tags} - {UNLISTED})
    if UNLISTED in seen.tags:
        wanted["paused"] = False
    changes = compare(what, seen_fields(seen, wanted), wanted)
    if not changes.empty:
        server.write(changes, server.client.update_deployment, seen.id, DeploymentUpdate(**wanted))
    ensure_schedules(server, what, seen, {one.slug: one for one in declared.schedules})
    return seen.id


def wanted_fields(declared: Declared) -> dict[str, Any]:
    """The fields of a deployment but its schedules, as Prefect names them."""
    return {
        "description": declared.description,
        "tags": sorted(declared.tags),
        "entrypoint": declared.entrypoint,
        "parameters": declared.parameters,
        "parameter_openapi_schema": form_of(declared.entrypoint, declared.parameters),
        "enforce_parameter_schema": declared.enforce_parameter_schema,
        "pull_steps": list(declared.pull_steps),
        "work_pool_name": declared.work_pool.name,
        "job_variables": declared.work_pool.job_variables,
    }


def seen_fields(seen: DeploymentResponse, names: Iterable[str]) -> dict[str, Any]:
    """The same fields of a deployment that is there."""
    return {name: sorted(seen.tags) if name == "tags" else getattr(seen, name) for name in names}


def ensure_schedules(
    server: Server, what: str, seen: DeploymentResponse, wanted: Mapping[str, DeclaredSchedule]
) -> None:
    """Our schedules are as wanted, paused if somebody paused them; schedules of people's own are left alone."""
    ours = {one.slug: one for one in seen.schedules if (one.slug or "").startswith(OURS_SLUG)}
    for slug, schedule in wanted.items():
        there, named = ours.pop(slug, None), f"{what} schedule {slug}"
        if there is None:
            new = [_new_schedule(schedule)]
            change = Change.of(Action.CREATE, named, "", f"{schedule.cron} {schedule.timezone}")
            server.write(Plan((change,)), server.client.create_deployment_schedules, seen.id, new)
            continue
        changes = compare(named, _seen_schedule(there), schedule.model_dump(exclude={"slug"}))
        if not changes.empty:
            update, cron = server.client.update_deployment_schedule, _cron(schedule)
            server.write(changes, update, seen.id, there.id, schedule=cron, parameters=schedule.parameters)
    for slug, there in ours.items():
        gone = Plan((Change.of(Action.DELETE, f"{what} schedule {slug}"),))
        server.write(gone, server.client.delete_deployment_schedule, seen.id, there.id)


def pause_unlisted(server: Server, kept: frozenset[UUID]) -> None:
    """Deployments that no hub has any more do not run by themselves; they and their runs stay."""
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[OURS]))
    found = server.list_all(
        "list deployments",
        lambda offset: server.client.read_deployments(deployment_filter=ours, limit=PAGE, offset=offset),
    )
    for one in found:
        if one.id in kept or one.paused:
            continue
        flow = server.ask(f"read the flow of deployment {one.name}", server.client.read_flow, one.flow_id)
        what = f"deployment {flow.name}/{one.name}"
        log.info("%s: no hub of the installation has it any more; delete it in the UI if nobody needs its runs", what)
        update = DeploymentUpdate(paused=True, tags=sorted({*one.tags, UNLISTED}))
        paused = Plan((Change.of(Action.UPDATE, f"{what} paused", before=False, after=True),))
        server.write(paused, server.client.update_deployment, one.id, update)


def _create(server: Server, declared: Declared, what: str, wanted: Mapping[str, Any]) -> UUID:
    flow = server.ask(f"find flow {declared.flow_name}", server.client.create_flow_from_name, declared.flow_name)
    schedules = [_new_schedule(one) for one in declared.schedules]
    created = Plan((Change.of(Action.CREATE, what),))
    create = server.client.create_deployment
    return server.write(created, create, flow, declared.name, schedules=schedules, **wanted)


def _new_schedule(schedule: DeclaredSchedule) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(
        schedule=_cron(schedule), active=True, parameters=schedule.parameters, slug=schedule.slug
    )


def _cron(schedule: DeclaredSchedule) -> CronSchedule:
    return CronSchedule(cron=str(schedule.cron), timezone=schedule.timezone)


def _seen_schedule(seen: DeploymentSchedule) -> dict[str, Any]:
    """As a declared one; of a kind that none of ours is, it differs in every field."""
    cron = seen.schedule if isinstance(seen.schedule, CronSchedule) else None
    return {
        "cron": cron.cron if cron else repr(seen.schedule),
        "timezone": cron.timezone if cron else "",
        "parameters": seen.parameters,
    }
