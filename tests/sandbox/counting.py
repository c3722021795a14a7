"""A kernel that counts while somebody watches it over a websocket: what a notebook's user would lose shows here."""

from __future__ import annotations

import json
import threading
import time
import uuid
from contextlib import suppress
from types import TracebackType
from urllib.parse import quote

from websockets.sync.connection import Connection

from tasks.core.errors import HubError
from tasks.core.wait import wait_until
from tasks.validation.client import UserSession
from tasks.validation.kernel import CUT, _Execution

CODE = "import time\nn = 0\nwhile True:\n    n += 1\n    print(n, flush=True)\n    time.sleep(0.1)\n"
"""A kernel that lost its state would begin at 1 again."""
REOPEN_SECONDS = 0.2
HEAR_SECONDS = 90


class Counting:
    """One kernel of a user's server, from ``with`` on; a websocket that is cut is opened again for the same session."""

    def __init__(self, user: UserSession) -> None:
        self.numbers: list[int] = []
        self.cuts = 0
        """How often a websocket that was open was closed by somebody else."""
        self.gap = 0.0
        """The longest time in seconds between two numbers."""
        self._user = user
        self._session = uuid.uuid4().hex
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._heard = 0.0
        self._request = _Execution().request(self._session, user.user, CODE)

    def __enter__(self) -> Counting:
        kernels = f"/user/{quote(self._user.user)}/api/kernels"
        headers = {"X-XSRFToken": self._user.xsrf(f"/user/{self._user.user}/")}
        made = self._user._send("POST", kernels, headers=headers, json={}, allowed=(201,)).json()
        self._path = f"{kernels}/{made['id']}/channels"
        self._thread.start()
        self.goes_on()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(30)

    def goes_on(self) -> None:
        """It counts still: a number was heard that is higher than any before."""
        before = len(self.numbers)

        def missing() -> str:
            return "" if len(self.numbers) > before + 1 else "no new number"

        wait_until("kernel", "hear it count", missing, seconds=HEAR_SECONDS, remedy="look at the server's log")
        assert self.numbers == sorted(set(self.numbers)), "it began anew"

    @property
    def lost(self) -> int:
        """How many numbers were printed and never heard."""
        return self.numbers[-1] - len(self.numbers)

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                with self._user._open_channels(self._path, self._session) as channels:
                    self._listen(channels)
            except (*CUT, HubError):
                time.sleep(REOPEN_SECONDS)

    def _listen(self, channels: Connection) -> None:
        if self._request:
            channels.send(self._request)
            self._request = ""
        try:
            while not self._ended.is_set():
                with suppress(TimeoutError):
                    self._hear(json.loads(channels.recv(timeout=1)))
        except CUT:
            self.cuts += 1
            raise

    def _hear(self, message: dict[str, object]) -> None:
        content = message.get("content")
        if message.get("msg_type") != "stream" or not isinstance(content, dict):
            return
        now = time.monotonic()
        self.gap = max(self.gap, now - (self._heard or now))
        self._heard = now
        self.numbers += [int(word) for word in content["text"].split()]
