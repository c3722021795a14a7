"""Where the receiver reads: secrets, Harbor, and whether Prefect answers. Each blocks, for a bounded time."""

from __future__ import annotations

from contextlib import closing

import httpx
from kubernetes.client import ApiClient
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from pydantic import SecretStr

from config.secrets import SecretRef
from config.spec import Hub
from tasks.core.errors import Transient
from tasks.core.kubernetes import Kubernetes
from tasks.core.login import Login
from tasks.core.secrets import read_secret as read_any_secret
from tasks.registry.client import Harbor
from tasks.registry.following import Followed, read_followed
from tasks.registry.state import harbor_of, place_of

PREFECT_SECONDS = 2.0


def read_secret(ref: SecretRef) -> SecretStr:
    """The secret. Raises Permanent where it is not there, Transient where Prefect does not answer, which keeps it."""
    # The pod need not know any cluster, but for a secret that is in one.
    kubernetes = Kubernetes.connect() if ref.kubernetes else Kubernetes(ApiClient())
    try:
        return read_any_secret(ref, kubernetes)
    except (httpx.HTTPError, PrefectException) as error:
        answered = f"no answer: {type(error).__name__}"
        raise Transient("Prefect", f"read the {ref}", answered, "check that its server runs") from error


def read_tag(hub: Hub) -> Followed | None:
    """What Harbor says that the hub's tag stands for, to the profile's user; the address is the profile's too."""
    login = Login(harbor_of(hub).user, read_secret(harbor_of(hub).password))
    with closing(Harbor.connect(place_of(hub), hub.registry.ca, login)) as harbor:
        return read_followed(hub, harbor)


def why_no_prefect() -> str:
    """Why no run could be started now; "" when Prefect answers, and lets us in."""
    try:
        with get_client({"timeout": httpx.Timeout(PREFECT_SECONDS)}, sync_client=True) as client:
            client.hello()
    except httpx.HTTPStatusError as error:
        return f"Prefect answers {error.response.status_code}"
    except httpx.HTTPError as error:
        return f"Prefect does not answer: {type(error).__name__}"
    return ""
