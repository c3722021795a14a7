"""The people whom the checks sign in as, each in a session of their own."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from tasks.core.errors import Permanent
from tasks.validation.client import UserSession
from tasks.validation.entry import Entry


@dataclass(frozen=True)
class Person:
    """Somebody with a password, and where they are at the hub."""

    session: UserSession
    password: SecretStr

    def sign_in(self) -> str:
        """They are in; says so. Raises Permanent otherwise."""
        entry = self.session.sign_in(self.password)
        if entry is Entry.IN:
            return f"{self.session.user} is in"
        remedies = {
            Entry.PASSWORD_REFUSED: "check the password that the profile refers to, and that the hub read it"
            " (it does when it starts)",
            Entry.NOT_ALLOWED: "give this user a group that identity.roles names, and look at the hub's log",
        }
        raise Permanent("hub", f"sign in as {self.session.user}", entry.value, remedies[entry])


@dataclass(frozen=True)
class People:
    """The tester, and those whom a profile may also name."""

    tester: Person
    admin: Person | None = None
    outsider: Person | None = None
    """Somebody whom the provider lets in and the hub does not, for want of a role."""
