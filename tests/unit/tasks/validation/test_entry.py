"""Getting into a hub by way of a provider's page, as a browser does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tasks.core.address import Address
from tasks.core.errors import Permanent
from tasks.validation.client import UserSession
from tasks.validation.entry import Entry, ProviderDoor
from tasks.validation.pages import parse_form, told_by

FORM = """<html><head><title>Sign in to x</title></head><body><form action="/search"><input name="q"></form>
<form id="kc-form-login" action="https://id.test/auth?a=1&amp;b=2" method="post">
<input id="username" name="username" type="text" value=""/><input name="password" type="password"/>
<input type="hidden" name="credentialId" value="c1"/></form>
<span id="input-error"><b>Invalid</b> username or password.</span></body></html>"""
ERROR = (
    "<h1 id='kc-page-title'>We are sorry...</h1><div id='kc-error-message'><p>Invalid parameter: redirect_uri</p></div>"
)


def test_the_form_that_asks_for_a_password_is_read_as_a_browser_reads_it() -> None:
    form = parse_form(FORM, "https://id.test/realms/x")
    assert form
    assert (form.action, form.username, form.password) == ("https://id.test/auth?a=1&b=2", "username", "password")
    assert form.fields == {"username": "", "credentialId": "c1"}
    assert parse_form("<form action='/x'><input name='a'></form>", "https://id.test") is None


def test_a_relative_action_is_of_the_pages_address() -> None:
    page = "<form action='../go'><input name=u type=email><input name=p type=password></form>"
    form = parse_form(page, "https://id.test/a/b/c")
    assert form
    assert form.action == "https://id.test/a/go"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (FORM, "Invalid username or password."),
        (ERROR, "Invalid parameter: redirect_uri"),
        ("<title> A\n b</title>", "A b"),
        ("", ""),
    ],
)
def test_a_pages_own_words_are_found(page: str, said: str) -> None:
    assert told_by(page) == said


def _session(post: httpx.Response, page: httpx.Response | None = None) -> UserSession:
    first = page or httpx.Response(200, text=FORM)

    def handle(request: httpx.Request) -> httpx.Response:
        routes: dict[str, Any] = {
            "GET hub.test/hub/oauth_login": httpx.Response(302, headers={"Location": "https://id.test/realms/x"}),
            "GET id.test/realms/x": first,
            "POST id.test/auth": post,
            "GET hub.test/hub/home": httpx.Response(200),
            "GET hub.test/hub/oauth_callback": httpx.Response(403),
        }
        if request.method == "POST":
            assert request.content == b"username=bob&credentialId=c1&password=pw"
        return routes[f"{request.method} {request.url.host}{request.url.path}"]

    hub, provider = Address("https://hub.test"), Address("https://id.test/realms/x")
    return UserSession(hub, "bob", ProviderDoor(hub, provider), httpx.MockTransport(handle))


@pytest.mark.parametrize(
    ("post", "entry"),
    [
        (httpx.Response(302, headers={"Location": "https://hub.test/hub/home"}), Entry.IN),
        (httpx.Response(302, headers={"Location": "https://hub.test/hub/oauth_callback"}), Entry.NOT_ALLOWED),
        (httpx.Response(200, text=FORM), Entry.PASSWORD_REFUSED),
    ],
)
def test_what_comes_of_the_providers_page(post: httpx.Response, entry: Entry) -> None:
    assert _session(post).sign_in(SecretStr("pw")) is entry


def test_a_page_that_asks_for_something_else_is_told() -> None:
    asks = httpx.Response(200, text="<h1 id='kc-page-title'>Update Account Information</h1>")
    with pytest.raises(Permanent, match="its page says: Update Account Information"):
        _session(asks).sign_in(SecretStr("pw"))


def test_a_redirect_uri_that_the_provider_refuses_is_told_in_its_words() -> None:
    with pytest.raises(Permanent, match=r"400 at https://id\.test/realms/x: Invalid parameter: redirect_uri"):
        _session(httpx.Response(200), httpx.Response(400, text=ERROR)).sign_in(SecretStr("pw"))
