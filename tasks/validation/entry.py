"""How somebody gets into a hub: by its own login page, or by an identity provider's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Protocol

import httpx
from pydantic import SecretStr

from tasks.core.address import Address
from tasks.core.errors import Permanent
from tasks.validation.pages import Form, parse_form, told_by

ANY_PAGE = tuple(code for code in HTTPStatus if code < HTTPStatus.INTERNAL_SERVER_ERROR)


class Entry(Enum):
    """What came of trying to get in."""

    IN = "in"
    PASSWORD_REFUSED = "the password was refused"
    NOT_ALLOWED = "the hub refused somebody whose password is right"


class Browser(Protocol):
    """What a door needs of the session that goes through it."""

    def fetch(
        self, method: str, url: str, *, allowed: tuple[int, ...], data: dict[str, str] | None = None
    ) -> httpx.Response:
        """The answer at the end of all redirects; ``url`` is whole, or a path of the hub's."""
        ...

    def xsrf(self, path: str) -> str:
        """The hub's token for forms."""
        ...


class Door(Protocol):
    """A way into a hub."""

    def enter(self, browser: Browser, user: str, password: SecretStr) -> Entry:
        """Try to get in as this user."""
        ...


@dataclass(frozen=True)
class PasswordDoor:
    """JupyterHub's own login page."""

    def enter(self, browser: Browser, user: str, password: SecretStr) -> Entry:
        """Fill in the login page."""
        browser.fetch("GET", "/hub/login", allowed=(HTTPStatus.OK,))
        form = {"username": user, "password": password.get_secret_value(), "_xsrf": browser.xsrf("/hub/")}
        # Without a destination the hub would send its user on to a server of theirs, and start it.
        page = "/hub/login?next=%2Fhub%2Fhome"
        answer = browser.fetch("POST", page, data=form, allowed=(HTTPStatus.OK, HTTPStatus.FORBIDDEN))
        inside = answer.status_code == HTTPStatus.OK and not answer.url.path.endswith("/hub/login")
        return Entry.IN if inside else Entry.PASSWORD_REFUSED


@dataclass(frozen=True)
class ProviderDoor:
    """An identity provider's page, to which the hub sends people, and which sends them back."""

    hub: Address
    provider: Address

    def enter(self, browser: Browser, user: str, password: SecretStr) -> Entry:
        """Fill in the provider's page."""
        form = self.find_form(browser)
        filled = {**form.fields, form.username: user, form.password: password.get_secret_value()}
        answer = browser.fetch("POST", form.action, data=filled, allowed=ANY_PAGE)
        if self.hub.is_at(str(answer.url)):
            return Entry.IN if answer.status_code == HTTPStatus.OK else Entry.NOT_ALLOWED
        if parse_form(answer.text, str(answer.url)):
            return Entry.PASSWORD_REFUSED
        # Neither back at the hub nor asked again: the provider wants something else of this user first.
        remedy = f"sign in as {user} in a browser once, and do what the provider asks for"
        raise Permanent("OIDC", f"sign in as {user}", f"its page says: {told_by(answer.text)}", remedy)

    def find_form(self, browser: Browser) -> Form:
        """The provider's page that asks for a password. Raises Permanent when there is none."""
        answer = browser.fetch("GET", "/hub/oauth_login?next=%2Fhub%2Fhome", allowed=ANY_PAGE)
        form = parse_form(answer.text, str(answer.url))
        if form is None or self.hub.is_at(str(answer.url)):
            where = f"{answer.url.scheme}://{answer.url.netloc.decode()}{answer.url.path}"
            said = f"{answer.status_code} at {where}: {told_by(answer.text) or 'no form that asks for a password'}"
            remedy = "compare the client's redirect URI at the provider with the hub's address, and look at its log"
            raise Permanent("OIDC", "open the sign-in page", said, remedy)
        return form
