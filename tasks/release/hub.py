"""The hub's own API, as one of its services uses it."""

from __future__ import annotations

from contextlib import closing
from http import HTTPStatus

import httpx
from pydantic import SecretStr

from tasks.core.address import Address
from tasks.core.errors import Permanent, Transient

REQUEST_SECONDS = 10


def restore_routes(address: Address, token: SecretStr, transport: httpx.BaseTransport | None = None) -> None:
    """The proxy has a route to every server that runs (POST /hub/api/proxy, REST API of JupyterHub 5).

    A proxy that started anew has none. It sends what it does not know to the hub, so this gets through.
    Raises Transient when the hub does not answer, Permanent when it refuses.
    """
    asked = f"POST {address.url}/hub/api/proxy"
    headers = {"Authorization": f"token {token.get_secret_value()}"}
    try:
        with closing(address.open_client(REQUEST_SECONDS, transport)) as client:
            answer = client.post(f"{address.url}/hub/api/proxy", headers=headers)
    except httpx.HTTPError as error:
        remedy = "check that the hub's address reaches its proxy, and checks.ca in the profile"
        raise Transient("hub", asked, str(error) or type(error).__name__, remedy) from error
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Transient("hub", asked, f"{answer.status_code} {answer.reason_phrase}", "look at the hub's log")
    if answer.status_code != HTTPStatus.OK:
        remedy = "deploy again: the hub does not know the token of the service that puts routes back"
        raise Permanent("hub", asked, f"{answer.status_code} {answer.reason_phrase}", remedy)
