"""What Harbor's refusals become, and that no secret comes along."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from pydantic import SecretStr

from tasks.core.errors import Conflict, HubError, Permanent, Transient
from tasks.core.login import Login
from tasks.registry.client import Harbor
from tasks.registry.refusal import Forbidden, NotFound, Unmet, refused, unreachable
from tasks.registry.state import Place

PLACE = Place("r.io", "iav", "tools/notebook")


def body(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


REFUSED: dict[str, tuple[int, bytes, str, type[HubError], str, str]] = {
    "bad": (400, body("BAD_REQUEST", "bad rule"), "u", Permanent, "400 BAD_REQUEST bad rule", "read the message"),
    "login": (401, body("UNAUTHORIZED", "no"), "u", Permanent, "401 UNAUTHORIZED no", "registry.harbor.user"),
    "robot's login": (401, b"", "robot$iav+x", Permanent, "401 Unauthorized", "gets a new secret"),
    "rights": (403, body("FORBIDDEN", "no"), "u", Forbidden, "u may not do this", "make u an administrator"),
    "robot's rights": (403, b"", "robot$iav+x", Forbidden, "403 Forbidden", "the rights that it needs"),
    "read-only": (403, body("DENIED", "in read only mode."), "u", Permanent, "403 DENIED", "end its read-only mode"),
    "quota": (403, body("DENIED", "exceed the upper limit"), "u", Permanent, "403 DENIED", "raise the project's quota"),
    "missing": (404, body("NOT_FOUND", "x"), "u", NotFound, "404 NOT_FOUND x", "check image.reference"),
    "conflict": (409, body("CONFLICT", "x"), "u", Conflict, "409 CONFLICT x", "run again"),
    "unmet": (412, body("PRECONDITION", "x"), "u", Unmet, "412 PRECONDITION x", "something else to be so first"),
    "busy": (429, body("TOO_MANY_REQUEST", "x"), "u", Transient, "429 TOO_MANY_REQUEST x", "wait for Harbor"),
    "broken": (500, body("UNKNOWN", "internal server error"), "u", Transient, "500 UNKNOWN", "its log says more"),
    "gateway": (502, b"<html>marker</html>", "u", Transient, "502 Bad Gateway", "wait for Harbor"),
    "elsewhere": (302, b"", "u", Permanent, "302 Found", "what stands between here and Harbor"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_by_its_status(case: str) -> None:
    status, answer, who, kind, answered, remedy = REFUSED[case]
    error = refused("GET /x", who, status, answer, 3.0)
    assert type(error) is kind
    assert answered in error.answered
    assert remedy in error.remedy
    assert "marker" not in str(error)
    assert not isinstance(error, Transient) or error.retry_after == 3


@pytest.mark.parametrize(
    "answer", [b"", b"null", b"[]", b'"text"', b'{"errors": null}', b'{"errors": ["x"]}', b'{"errors": [{}]}', b"\xff"]
)
def test_an_answer_of_any_other_form_is_told_by_its_status_alone(answer: bytes) -> None:
    assert refused("GET /x", "u", 404, answer).answered == "404 Not Found"


def test_harbors_words_are_cut() -> None:
    assert len(refused("GET /x", "u", 400, body("BAD_REQUEST", "x" * 5000)).answered) < 250


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), Permanent, "registry.ca"),
        (httpx.ConnectError("connection refused"), Transient, "cannot be reached: connection refused"),
        (httpx.ReadTimeout(""), Transient, "cannot be reached: ReadTimeout"),
    ],
)
def test_no_answer_at_all(error: Exception, kind: type[HubError], said: str) -> None:
    found = unreachable("GET /x", error)
    assert type(found) is kind
    assert said in str(found)


def harbor_that(answer: Callable[[httpx.Request], httpx.Response]) -> Harbor:
    transport = httpx.MockTransport(answer)
    return Harbor(httpx.Client(base_url="https://r.io", transport=transport), PLACE, "hubwright")


def test_an_answer_that_is_not_harbors_is_worth_another_try_and_not_quoted() -> None:
    harbor = harbor_that(lambda _request: httpx.Response(200, text="<html>marker</html>"))
    for ask in (harbor.read_project, harbor.read_system, harbor.list_policies):
        with pytest.raises(Transient, match="not what it should be") as told:
            ask()
        assert "marker" not in str(told.value)


def test_a_repository_with_a_slash_is_escaped_twice() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        assert request.headers["X-Is-Resource-Name"] == "true"
        return httpx.Response(404)

    assert harbor_that(answer).read_artifact("v1") is None
    path = "/api/v2.0/projects/iav/repositories/tools%252Fnotebook/artifacts/v1?with_scan_overview=true"
    assert asked == [path]


@pytest.mark.parametrize(("status", "right"), [(200, True), (401, False)])
def test_a_login_is_tried_as_docker_does(status: int, right: bool) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://r.io/service/token?service=harbor-registry"
        assert request.headers["Authorization"].startswith("Basic ")
        return httpx.Response(status)

    assert harbor_that(answer).read_login(Login("robot$iav+x", SecretStr("s"))) is right


def test_a_login_that_cannot_be_tried_is_neither_right_nor_wrong() -> None:
    with pytest.raises(Transient):
        harbor_that(lambda _request: httpx.Response(503)).read_login(Login("robot$iav+x", SecretStr("s")))


def test_a_client_over_https_keeps_no_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("Cookie"))
        return httpx.Response(200, json={}, headers={"Set-Cookie": "sid=1; Path=/"})

    harbor = Harbor.connect(PLACE, None, Login("u", SecretStr("s")))
    monkeypatch.setattr(harbor._http, "_transport_for_url", lambda _url: httpx.MockTransport(answer))
    for _ in range(2):
        harbor.read_system()
    assert sent == [None, None]
    harbor.close()
