"""Whose token goes with which request, and how a server is stopped."""

from __future__ import annotations

import httpx
import pytest

from tasks.core.address import Address
from tasks.core.errors import Permanent
from tasks.validation import client as module
from tasks.validation.client import UserSession


class _Hub:
    """A hub whose user has a server for as many looks as told."""

    def __init__(self, looks: int, status: int = 202) -> None:
        self.looks, self.status = looks, status
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "DELETE":
            return httpx.Response(self.status)
        self.looks -= 1
        return httpx.Response(200, json={"servers": {"": {}} if self.looks >= 0 else {}})

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]


def _session(hub: _Hub) -> UserSession:
    return UserSession(Address("http://hub.test"), "bob", transport=httpx.MockTransport(hub))


@pytest.mark.parametrize(
    ("looks", "methods"), [(0, ["GET"]), (1, ["GET", "DELETE", "GET"]), (2, ["GET", "DELETE", "GET", "GET"])]
)
def test_a_server_is_stopped_once_and_waited_for(looks: int, methods: list[str]) -> None:
    hub = _Hub(looks)
    _session(hub).stop_server()
    assert hub.methods == methods


def test_a_server_that_does_not_stop_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0)
    with pytest.raises(Permanent, match="stop the server of bob: not within 0 s: it still runs"):
        _session(_Hub(1000)).stop_server()


def test_a_hub_that_cannot_stop_a_server_is_asked_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that started anew does not know yet whether the server runs."""
    monkeypatch.setattr(module, "STOP_SECONDS", 0)
    with pytest.raises(Permanent, match=r"DELETE http://hub\.test/hub/api/users/bob/server: not within 0 s: 503"):
        _session(_Hub(1000, 503)).stop_server()


@pytest.mark.parametrize(
    ("path", "token"),
    [("/hub/api/user", "hub's"), ("/user/bob/api/kernels", "bob's"), ("/user/eve/lab", "everybody's")],
)
def test_of_tokens_of_one_name_that_of_the_longest_path_counts(path: str, token: str) -> None:
    session = _session(_Hub(0))
    for place, value in (("/", "everybody's"), ("/user/bob/", "bob's"), ("/hub/", "hub's")):
        session._http.cookies.set("_xsrf", value, domain="hub.test", path=place)
    assert session.xsrf(path) == token


def test_an_api_request_comes_with_the_hubs_token_and_page() -> None:
    hub = _Hub(1)
    session = _session(hub)
    session._http.cookies.set("_xsrf", "hub's", domain="hub.test", path="/hub/")
    session.stop_server()
    deletion = hub.requests[1]
    assert deletion.headers["x-xsrftoken"] == "hub's"
    assert deletion.headers["referer"] == "http://hub.test/hub/home"
    assert hub.methods == ["GET", "DELETE", "GET"]
