"""Which deployments a hub has, and how each is: pure, from prefect.yaml, the hub and the flow image."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from prefect.utilities.templating import apply_values, find_placeholders
from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from config.spec import Hub

PREFECT_YAML = Path(__file__).parent.parent / "prefect.yaml"
OURS = "hubwright"
"""Tag of every deployment and automation that is registered here."""
OURS_SLUG = f"{OURS}-"
"""What the slugs of schedules begin with that are registered here; others are people's own."""


class DeclaredSchedule(BaseModel):
    """When a deployment runs by itself; without a cron line, never."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: str = Field(pattern=f"^{OURS_SLUG}[a-z]+$")
    cron: str | None
    timezone: str
    parameters: dict[str, Any] = {}


class WorkPool(BaseModel):
    """Where its runs go, and what is set in their job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    job_variables: dict[str, Any]


class Declared(BaseModel):
    """One deployment as it should be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    flow_name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    parameters: dict[str, Any]
    enforce_parameter_schema: Literal[True]
    work_pool: WorkPool
    schedules: tuple[DeclaredSchedule, ...]
    pull_steps: tuple[dict[str, Any], ...] = ()

    @property
    def full_name(self) -> str:
        """As Prefect names it: flow and deployment."""
        return f"{self.flow_name}/{self.name}"


def declare(profile: str, hub: Hub, image: str) -> tuple[Declared, ...]:
    """The deployments of a hub: those of prefect.yaml that it has a use for, with its own values in them."""
    document = _read()
    values = _values(profile, hub, image)
    pull = document["pull"]
    return tuple(
        _declared(apply_values(_as_values(one), values), pull)
        for one in document["deployments"]
        if _has_use_for(hub, one["flow_name"])
    )


def _has_use_for(hub: Hub, flow: str) -> bool:
    harbor = hub.registry.harbor
    needs = {
        "rebuild-image": hub.image.build is not None,
        "renew-robots": harbor is not None,
        "follow-tags": harbor is not None and harbor.webhook is not None,
    }
    return needs.get(flow, True)


def _values(profile: str, hub: Hub, image: str) -> dict[str, Any]:
    """What prefect.yaml takes from the environment when people deploy by hand."""
    return {
        "HUBWRIGHT_HUB": hub.name,
        "HUBWRIGHT_PROFILE": profile,
        "HUBWRIGHT_IMAGE": image,
        "HUBWRIGHT_TIMEZONE": hub.schedules.timezone,
        "HUBWRIGHT_REPAIR": hub.schedules.repair,
        "HUBWRIGHT_DRIFT": hub.schedules.drift,
        "HUBWRIGHT_REBUILD": hub.schedules.rebuild,
        "HUBWRIGHT_ROBOTS": hub.schedules.robots,
    }


def _declared(document: Mapping[str, Any], pull: list[dict[str, Any]]) -> Declared:
    scheduled = [schedule for schedule in document["schedules"] if schedule["cron"] is not None]
    return Declared.model_validate({**document, "schedules": scheduled, "pull_steps": pull})


@cache
def _read() -> dict[str, Any]:
    return cast("dict[str, Any]", YAML(typ="safe").load(PREFECT_YAML.read_text(encoding="utf-8")))


def _as_values(template: Any) -> Any:
    """The same with placeholders for values of ours: those with a $ Prefect reads from this process's environment."""
    if isinstance(template, dict):
        return {key: _as_values(value) for key, value in cast("dict[str, Any]", template).items()}
    if isinstance(template, list):
        return [_as_values(value) for value in cast("list[Any]", template)]
    if isinstance(template, str):
        for found in find_placeholders(template):
            template = template.replace(found.full_match, f"{{{{ {found.name.lstrip('$')} }}}}")
    return template
