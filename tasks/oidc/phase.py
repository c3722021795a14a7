"""Phase oidc: the identity provider answers, and is the one that the profile means."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.identity import OidcIdentity, PasswordIdentity
from config.spec import Hub
from tasks.core.kubernetes import Kubernetes
from tasks.core.secrets import mark_of, read_secret
from tasks.core.task import hub_task
from tasks.core.wait import ask_patiently
from tasks.oidc.client import read_provider
from tasks.oidc.state import SeenProvider


@hub_task(name="look at provider", description="Reads the identity provider's discovery document.")
def look_at_provider(hub: Hub) -> SeenProvider:
    """What the provider is like. Reads only; waits for one that is just being restarted."""
    assert not isinstance(hub.identity, PasswordIdentity)
    provider = hub.identity
    return ask_patiently(lambda: read_provider(provider), get_run_logger().info)


@hub_task(name="mark client secret", description="Looks whether the client's secret is another one.")
def mark_client_secret(hub: Hub) -> str:
    """A word that changes with the client's secret and does not tell it."""
    assert isinstance(hub.identity, OidcIdentity)
    secret = read_secret(hub.identity.client_secret, Kubernetes.connect())
    return mark_of([secret], f"{hub.cluster.namespace}/{hub.release.name}")
