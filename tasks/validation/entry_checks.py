"""Checks of who gets in, and who does not. Each returns what it saw, or raises a HubError that says why not."""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus

from pydantic import SecretStr

from config.spec import Hub
from tasks.core.errors import Permanent
from tasks.validation.entry import Entry
from tasks.validation.people import People


@dataclass(frozen=True)
class EntryChecks:
    """The doors of one hub."""

    hub: Hub
    people: People

    def check_wrong_password(self) -> str:
        """A password that cannot be right is refused."""
        with closing(self.people.tester.session.as_stranger()) as stranger:
            entry = stranger.sign_in(SecretStr(secrets.token_hex(16)))
        if entry is not Entry.PASSWORD_REFUSED:
            remedy = "look at the hub's authenticator: it lets everybody in"
            raise Permanent("hub", "sign in with a wrong password", "it was accepted", remedy)
        return "it was refused"

    def check_sign_in(self) -> str:
        """The tester gets in by the sign-in page."""
        return self.people.tester.sign_in()

    def check_outsider(self) -> str:
        """Somebody without a role gets past the provider, and no further."""
        outsider = self.people.outsider
        assert outsider
        entry = outsider.session.sign_in(outsider.password)
        if entry is not Entry.NOT_ALLOWED:
            remedy = "look at the user's groups at the provider; if there are none, at allowed_groups in the release"
            raise Permanent("hub", f"refuse {outsider.session.user}, who has no role", entry.value, remedy)
        return f"{outsider.session.user} was refused by the hub"

    def check_admin_page(self) -> str:
        """The admin page opens for an admin and for nobody else."""
        admin, tester = self.people.admin, self.people.tester
        assert admin
        admin.sign_in()
        codes = (admin.session.read_page("/hub/admin"), tester.session.read_page("/hub/admin"))
        if codes != (HTTPStatus.OK, HTTPStatus.FORBIDDEN):
            remedy = "compare the profile's admins with the hub's; one made an admin by hand stays one"
            raise Permanent("hub", "open /hub/admin as admin and as user", f"{codes[0]:d} and {codes[1]:d}", remedy)
        return f"{admin.session.user} got 200, {tester.session.user} got 403"

    def check_sign_out(self) -> str:
        """Who signed out is asked for a password again: the provider's session has ended too."""
        session = self.people.tester.session
        session.sign_out()
        if not session.read_asked_again():
            remedy = "look whether the provider's client allows the hub's address after signing out"
            raise Permanent("hub", f"sign {session.user} out", "the provider lets them in without a password", remedy)
        return f"{session.user} is asked for a password again"
