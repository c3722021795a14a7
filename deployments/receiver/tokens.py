"""Who may tell: what Harbor sends as Authorization, by hub; read again while it runs, so that it can be changed."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from pydantic import SecretStr

from config.secrets import SecretRef
from config.spec import Hub
from tasks.core.errors import Permanent, Transient
from tasks.registry.state import harbor_of

GOOD_SECONDS = 60.0
"""After this time secrets are read again: one that is valid no longer ends with it."""
RETRY_SECONDS = 5.0
"""No sooner are they read again because of a request that none of them fits: one that is new may be there by now."""
READ_SECONDS = 2.0

log = logging.getLogger(__name__)


def refs_of(hub: Hub) -> tuple[SecretRef, ...]:
    """Where the secrets are that a hub takes events by: the present one, and the one that it takes the place of."""
    webhook = harbor_of(hub).webhook
    assert webhook
    return (webhook.authorization, *((webhook.retiring,) if webhook.retiring else ()))


class Tokens:
    """The secrets of some hubs, by their names. ``read`` raises Permanent or Transient; it may block."""

    def __init__(
        self,
        refs: Mapping[str, Sequence[SecretRef]],
        read: Callable[[SecretRef], SecretStr],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._refs = refs
        self._read = read
        self._clock = clock
        self._known: list[tuple[bytes, str]] = []
        self._unread = ""
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def hubs_for(self, given: bytes) -> frozenset[str]:
        """Names of the hubs that take events with this header; none for a wrong one.

        Raises Transient where it cannot be told, since a secret could not be read.
        """
        if self._clock() - self._read_at >= GOOD_SECONDS:
            await self._refresh()
        found = self._fitting(given)
        if not found and self._clock() - self._read_at >= RETRY_SECONDS:
            await self._refresh()
            found = self._fitting(given)
        if not found and self._unread:
            raise Transient("secrets", "compare the header Authorization", self._unread, "look at where it is kept")
        return found

    def _fitting(self, given: bytes) -> frozenset[str]:
        """All of them are compared, each in constant time: how long it takes tells nothing of any."""
        return frozenset([hub for token, hub in self._known if hmac.compare_digest(token, given)])

    async def warm(self) -> None:
        """Secrets are read before anybody asks; what cannot be read now is when it is asked for."""
        with suppress(Transient):
            await self._refresh()

    async def _refresh(self) -> None:
        """Reads them, once for all who wait. Raises Transient when that takes too long; it goes on meanwhile."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        reading = self._reading
        done, _ = await asyncio.wait({reading}, timeout=READ_SECONDS)
        if not done:
            raise Transient("secrets", "read them", f"not within {READ_SECONDS:g} s", "look at where they are kept")
        reading.result()

    async def _read_all(self) -> None:
        try:
            self._known, self._unread = await asyncio.to_thread(self._gather)
            self._read_at = self._clock()
        finally:
            self._reading = None

    def _gather(self) -> tuple[list[tuple[bytes, str]], str]:
        known: list[tuple[bytes, str]] = []
        unread = ""
        for hub, refs in self._refs.items():
            for ref in refs:
                try:
                    # Space around it is no part of a header: Harbor does not send it.
                    token = self._read(ref).get_secret_value().strip().encode()
                except Permanent as error:
                    log.warning("hub %s takes no event by the %s: %s", hub, ref, error.answered)
                    continue
                except Transient as error:
                    unread = f"the {ref} of hub {hub}: {error.answered}"
                    log.warning("cannot read the %s of hub %s: %s", ref, hub, error.answered)
                    continue
                if token:
                    known.append((token, hub))
        return known, unread
