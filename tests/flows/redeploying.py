"""Hubs with a deployment in Prefect's own test server, and the runs that it has of them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun

from config.spec import Hub
from flows.deploy import deploy
from tasks.registry.following import Followed
from tests.harbors import REFERENCE, hub_with

A, B = (f"sha256:{letter * 64}" for letter in "ab")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def pushed(digest: str, minutes: int = 0) -> Followed:
    """The tag went to this image so long after a certain time."""
    return Followed(digest, NOW + timedelta(minutes=minutes))


def new_hub(*, registered: bool = True) -> Hub:
    """A hub of which nobody has heard, with the deployment that an installation has for it."""
    part = {"url": "https://hooks.example.internal/harbor", "authorization": {"env": "HARBOR_WEBHOOK"}}
    hub = hub_with(f"lab-{uuid.uuid4().hex[:8]}", REFERENCE, webhook=part)
    if registered:
        register(hub)
    return hub


def register(hub: Hub) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "profile": {"type": "string", "enum": [hub.name]},
            "image": {"type": "string", "pattern": "^sha256:[a-f0-9]{64}$"},
        },
        "required": ["profile"],
    }
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name(deploy.name)
        client.create_deployment(
            flow_id, hub.name, tags=["hubwright", f"hub:{hub.name}"], parameters={"profile": hub.name},
            parameter_openapi_schema=schema, enforce_parameter_schema=True,
        )  # fmt: skip


def runs_of(hub: Hub) -> list[FlowRun]:
    """The runs of its deployment."""
    tags = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"hub:{hub.name}"]))
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(flow_run_filter=tags)
