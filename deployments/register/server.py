"""Prefect's server as registering sees it: its errors become ours here, and what is written is told here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL

from tasks.core.change import Plan
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.wait import ask_patiently

SYSTEM = "Prefect"
START_SECONDS = 300.0
"""Within this time a server that was just installed has made its database, and answers."""
REQUEST_SECONDS = 30.0
UNAUTHORIZED = (401, 403)
MAY_PASS = (408, 429)
SERVER_ERROR = 500
PAGE = 200

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)


class Server:
    """A Prefect server. ``changed`` is everything that was written to it."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self.client = client
        self.changed = Plan()

    def ask(self, asked: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a call of Prefect's client returns. Raises Permanent or Transient; ObjectNotFound is left as it is."""
        try:
            return call(*args, **kwargs)
        except ObjectAlreadyExists:
            remedy = "run again: it is compared with what is there now"
            raise Permanent(SYSTEM, asked, "it is there already, made meanwhile", remedy) from None
        except httpx.HTTPStatusError as error:
            raise refused(asked, error.response) from None
        except httpx.HTTPError as error:
            remedy = f"is {PREFECT_API_URL.value()} where it serves? (PREFECT_API_URL)"
            raise Transient(SYSTEM, asked, f"no answer: {type(error).__name__}: {error}", remedy) from None

    def find(self, asked: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """As ``ask``, but None where there is no such thing."""
        try:
            return self.ask(asked, call, *args, **kwargs)
        except ObjectNotFound:
            return None

    def list_all(self, asked: str, page: Callable[[int], list[R]]) -> list[R]:
        """Everything that ``page`` gives, from one offset after another."""
        found: list[R] = []
        while True:
            more = self.ask(asked, page, len(found))
            found += more
            if len(more) < PAGE:
                return found

    def write(self, changes: Plan, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Make the changes by one call; each is told first. Raises as ``ask``; Permanent where something is gone."""
        for change in changes:
            log.info("%s", change)
        first = next(iter(changes))
        asked = f"{first.action} {first.what}"
        try:
            answer = self.ask(asked, call, *args, **kwargs)
        except ObjectNotFound:
            raise Permanent(SYSTEM, asked, "something that it names is gone meanwhile", "run again") from None
        self.changed += changes
        return answer


def refused(asked: str, response: httpx.Response) -> HubError:
    """The error that an answer of Prefect stands for."""
    answered = f"HTTP {response.status_code}: {response.text.strip()[:500] or response.reason_phrase}"
    if response.status_code in UNAUTHORIZED:
        return Permanent(SYSTEM, asked, answered, "give user and password of its API in PREFECT_API_AUTH_STRING")
    if response.status_code in MAY_PASS or response.status_code >= SERVER_ERROR:
        return Transient(SYSTEM, asked, answered, "look into the server's log, then run again")
    return Permanent(
        SYSTEM, asked, answered, "is the server of the same version? mend what the answer names, run again"
    )


@contextmanager
def open_server(seconds: float = START_SECONDS) -> Generator[Server, None, None]:
    """The server of the environment, when it answers. Raises Permanent when it does not within ``seconds``."""
    if not PREFECT_API_URL.value():
        # Without one, Prefect's client starts a server of its own, and everything would be registered there.
        raise Permanent(SYSTEM, "find the server", "PREFECT_API_URL is not set", "set it to the address of its API")
    with get_client({"timeout": httpx.Timeout(REQUEST_SECONDS)}, sync_client=True) as client:
        server = Server(client)
        ask_patiently(lambda: server.ask("answer", client.read_work_pools, limit=1), log.info, seconds=seconds)
        yield server
