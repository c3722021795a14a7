"""Putting the proxy's routes back, as a service of the hub."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from tasks.core.address import Address
from tasks.core.errors import HubError, Permanent, Transient
from tasks.release.hub import restore_routes

HUB = Address("https://hub.test")


def test_the_hub_is_asked_with_the_services_token() -> None:
    seen: list[httpx.Request] = []

    def hub(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    restore_routes(HUB, SecretStr("the-token"), httpx.MockTransport(hub))
    [request] = seen
    assert (request.method, str(request.url)) == ("POST", "https://hub.test/hub/api/proxy")
    assert request.headers["Authorization"] == "token the-token"


@pytest.mark.parametrize(("status", "kind"), [(403, Permanent), (404, Permanent), (503, Transient)])
def test_what_the_hub_refuses_says_nothing_of_the_token(status: int, kind: type[HubError]) -> None:
    with pytest.raises(kind, match=str(status)) as raised:
        restore_routes(HUB, SecretStr("the-token"), httpx.MockTransport(lambda _request: httpx.Response(status)))
    assert "the-token" not in str(raised.value)


def test_a_hub_that_is_away_may_come_back() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Transient, match="refused"):
        restore_routes(HUB, SecretStr("t"), httpx.MockTransport(away))
