"""All checks of a hub, in the order in which a user would meet what they check."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

from tasks.validation.entry_checks import EntryChecks
from tasks.validation.server_checks import ServerChecks

Check = Callable[[], str]


def all_checks(entry: EntryChecks, server: ServerChecks) -> Iterator[tuple[str, Check]]:
    """The checks by name. One that fails ends the row, since those after it build upon it."""
    mark = secrets.token_hex(8)
    yield "hub and proxy are available", server.check_available
    yield "a wrong password is refused", entry.check_wrong_password
    yield "a user signs in", entry.check_sign_in
    if entry.people.outsider:
        yield "a user without a role is refused", entry.check_outsider
    if entry.hub.roles:
        yield "a choice that nobody offered is refused", server.check_forged
    yield "the user's server starts, with its image, limits and volumes", server.check_server
    yield "code runs in a kernel, and writes to every volume", lambda: server.check_code(mark)
    yield "the files are there after the server was stopped and started", lambda: server.check_files_stay(mark)
    if entry.people.admin:
        yield "an admin sees the admin page, the user does not", entry.check_admin_page
    yield "the user's server stops", server.check_stop
    if entry.hub.roles:
        yield "who signs out is asked for a password again", entry.check_sign_out
