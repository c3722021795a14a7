"""What a browser is told of a user's cookies, and what is said when it does not answer as it should."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.connection import Connection

from tasks.core.address import Address
from tasks.core.errors import Permanent, Transient
from tasks.validation.browser import DevTools, Page, as_devtools
from tasks.validation.client import UserSession


class _Channel:
    """A connection to a browser that has its answers ready, and notes what it is asked."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def send(self, message: str) -> None:
        self.asked.append(json.loads(message))

    def recv(self, timeout: float) -> str:
        assert timeout <= 5
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer)


def _page(channel: _Channel) -> Page:
    return Page(DevTools(cast("Connection", channel), time.monotonic() + 5), "session")


def _session() -> UserSession:
    """Somebody whom a hub and its provider gave cookies."""

    def answer(request: httpx.Request) -> httpx.Response:
        where = "https://keycloak.test/auth" if request.url.host == "hub.test" else "https://hub.test/hub/home"
        headers = [("location", where)] if request.url.path in {"/", "/auth"} else []
        names = {"/": "jupyterhub-session-id", "/auth": "KEYCLOAK_IDENTITY", "/hub/home": "_xsrf"}
        value = f'{names[request.url.path]}="2|1:0|x"; Path=/hub/; HttpOnly; Secure'
        return httpx.Response(302 if headers else 200, headers=[*headers, ("set-cookie", value)])

    session = UserSession(Address("https://hub.test"), "bob", transport=httpx.MockTransport(answer))
    session.read_page("/")
    return session


def test_the_browser_gets_the_hubs_cookies_as_they_are_and_none_of_the_providers() -> None:
    session = _session()
    assert len(session._http.cookies.jar) == 3
    given = [as_devtools(cookie, session.lab) for cookie in session.cookies()]
    assert given == [
        {
            "name": name, "value": '"2|1:0|x"', "url": "https://hub.test/user/bob/lab", "path": "/hub/", "secure": True,
            "httpOnly": True,
        }
        for name in ("jupyterhub-session-id", "_xsrf")
    ]  # fmt: skip


def test_cookies_of_a_host_without_a_dot_are_its_own() -> None:
    """The jar knows it as hub.local."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, headers={"set-cookie": "one=1; Path=/"}))
    session = UserSession(Address("http://hub:8000"), "bob", transport=transport)
    session.read_page("/")
    assert [cookie.name for cookie in session.cookies()] == ["one"]


def test_events_and_answers_to_others_are_not_taken_for_the_answer() -> None:
    event = {"method": "Page.loadEventFired", "params": {}, "sessionId": "session"}
    answer = {"id": 1, "result": {"result": {"type": "string", "value": "there"}}}
    channel = _Channel(event, {"id": 0, "result": {}}, answer)
    assert _page(channel).read("'there'") == "there"
    assert channel.asked == [
        {
            "id": 1, "method": "Runtime.evaluate", "sessionId": "session",
            "params": {"expression": "'there'", "returnByValue": True},
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"result": {"frameId": "F", "errorText": "net::ERR_CERT_AUTHORITY_INVALID"}}, "net::ERR_CERT_AUTHORITY_INV"),
        ({"error": {"code": -32000, "message": "Cannot navigate to invalid URL"}}, "Cannot navigate to invalid URL"),
    ],
)
def test_a_page_that_does_not_open_is_named_with_the_browsers_reason(result: dict[str, Any], said: str) -> None:
    with pytest.raises(Permanent, match=said):
        _page(_Channel({"id": 1, **result})).open("https://hub.test/user/bob/lab")


def test_an_expression_that_throws_is_no_answer() -> None:
    result = {"result": {"type": "object"}, "exceptionDetails": {"text": "Uncaught"}}
    with pytest.raises(Permanent, match="Uncaught"):
        _page(_Channel({"id": 1, "result": result})).read("throw 1")


@pytest.mark.parametrize("cut", [TimeoutError("timed out"), ConnectionClosedError(None, None), BrokenPipeError()])
def test_a_browser_that_says_nothing_more_is_named(cut: Exception) -> None:
    with pytest.raises(Transient, match=r"browser: Page\.captureScreenshot"):
        _page(_Channel(cut)).capture("png", 100)
