"""Have a hub deployed with the image that its tag stands for: one run of its deployment for one push."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from prefect.client.orchestration import SyncPrefectClient
from prefect.utilities.urls import url_for

from config.spec import Hub
from flows.prefect_client import open_client, prefect_errors
from tasks.registry.following import Followed, redeploy_key


@dataclass(frozen=True)
class Started:
    """The run that deploys an image; ``made`` says that it was not there before."""

    run: str
    url: str
    made: bool


def start_redeploy(hub: Hub, profile: str, followed: Followed) -> Started:
    """A run of the hub's deployment that deploys exactly this image is there, once for all who ask for it.

    What Prefect remembers of it is its database: runs that ended, failed or were cancelled count too, so that nothing
    is tried again and again. Raises Permanent where the hub has no deployment, Transient while Prefect does not answer.
    """
    name = f"deploy/{hub.name}"
    asked = f"start {name} with {followed.digest}"
    with prefect_errors(asked), open_client() as client:
        return _start(client, name, hub, profile, followed)


def _start(client: SyncPrefectClient, name: str, hub: Hub, profile: str, followed: Followed) -> Started:
    deployment = client.read_deployment_by_name(name)
    # Prefect answers with the run of this key, old or new. Only a new one has the name that was made up here.
    ours = f"{hub.image.tag}-{followed.digest.removeprefix('sha256:')[:12]}-{secrets.token_hex(3)}"
    run = client.create_flow_run_from_deployment(
        deployment.id,
        parameters={"profile": profile, "image": followed.digest},
        name=ours,
        tags=["hubwright", f"hub:{hub.name}", "harbor"],
        idempotency_key=redeploy_key(hub, followed),
    )
    return Started(str(run.id), url_for("flow-run", obj_id=run.id) or "", run.name == ours)
