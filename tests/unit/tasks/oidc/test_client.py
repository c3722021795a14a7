"""What the discovery document of a provider must say, and what is told when it does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from config.identity import OidcIdentity
from tasks.core.errors import HubError, Permanent, Transient
from tasks.oidc.client import read_provider

ISSUER = "https://id.example.com/realms/x"
PROVIDER = OidcIdentity.model_validate(
    {"kind": "oidc", "issuer": ISSUER, "client_secret": {"env": "S"}, "roles": {"user": {}}}
)
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "end_session_endpoint": f"{ISSUER}/logout",
}


def _read(answer: httpx.Response | Exception) -> Any:
    def handle(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == f"{ISSUER}/.well-known/openid-configuration"
        if isinstance(answer, Exception):
            raise answer
        return answer

    return read_provider(PROVIDER, httpx.MockTransport(handle))


def test_endpoints_are_those_of_the_document() -> None:
    found = _read(httpx.Response(200, json=DOCUMENT)).endpoints
    assert (found.token, found.userinfo, found.end_session) == (
        f"{ISSUER}/token", f"{ISSUER}/userinfo", f"{ISSUER}/logout"
    )  # fmt: skip


def test_a_provider_without_a_place_to_sign_out_is_good_enough() -> None:
    document = {key: value for key, value in DOCUMENT.items() if key != "end_session_endpoint"}
    assert _read(httpx.Response(200, json=document)).endpoints.end_session is None


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (httpx.Response(200, json={**DOCUMENT, "issuer": "https://other"}), Permanent, "calls itself 'https://other'"),
        (httpx.Response(200, json={"issuer": ISSUER}), Permanent, "no authorization_endpoint, token_endpoint"),
        (httpx.Response(200, text="<html>"), Permanent, "no JSON object"),
        (httpx.Response(200, text=json.dumps([1])), Permanent, "no JSON object"),
        (httpx.Response(404), Permanent, "no such issuer or realm"),
        (httpx.Response(403), Permanent, "403 Forbidden"),
        (httpx.Response(429), Transient, "429"),
        (httpx.Response(502), Transient, "502"),
        (httpx.Response(503), Transient, "503"),
        (httpx.ConnectError("refused"), Transient, "cannot be reached: refused"),
        (httpx.ReadTimeout(""), Transient, "cannot be reached: ReadTimeout"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), Permanent, "certificate is not trusted"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_provider_is_told(
    answer: httpx.Response | Exception, kind: type[HubError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        _read(answer)


@pytest.mark.parametrize(("ahead", "said"), [(0, None), (20, None), (90, "ahead of"), (-90, "behind")])
def test_a_clock_that_is_off_is_told_and_stops_nothing(ahead: int, said: str | None) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    problems = _read(httpx.Response(200, json=DOCUMENT, headers={"Date": date})).problems
    assert [said in problem.found and not problem.fatal for problem in problems] == ([True] if said else [])


def test_a_document_that_lay_in_a_cache_says_nothing_against_the_clock() -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=10), usegmt=True)
    answer = httpx.Response(200, json=DOCUMENT, headers={"Date": date, "Age": "600"})
    assert _read(answer).problems == ()


@pytest.mark.parametrize("headers", [{}, {"Date": "today"}, {"Age": "old"}])
def test_a_provider_without_a_clock_is_good_enough(headers: dict[str, str]) -> None:
    assert _read(httpx.Response(200, json=DOCUMENT, headers=headers)).problems == ()


def test_a_provider_that_asks_to_be_left_alone_is() -> None:
    with pytest.raises(Transient) as busy:
        _read(httpx.Response(429, headers={"Retry-After": "7"}))
    assert busy.value.retry_after == 7
