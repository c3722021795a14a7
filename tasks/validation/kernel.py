"""Running code in a kernel over its websocket, also when that is cut in between (Jupyter messaging 5.3)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, cast

from websockets.exceptions import WebSocketException
from websockets.sync.connection import Connection

from tasks.core.errors import Permanent, Transient

KERNEL_SECONDS = 90
REOPEN_SECONDS = 0.5
JUPYTER_PROTOCOL = "5.3"
CUT = (OSError, WebSocketException)

Json = dict[str, Any]
OpenChannels = Callable[[str], AbstractContextManager[Connection]]
"""Opens a kernel's websocket for a session's id."""


@dataclass
class _Execution:
    """One piece of code on its way: what it printed, and what is still to come."""

    message_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    printed: list[str] = field(default_factory=list[str])
    awaited: set[str] = field(default_factory=lambda: {"reply", "idle"})

    def request(self, session: str, user: str, code: str) -> str:
        header = {
            "msg_id": self.message_id, "session": session, "username": user,
            "msg_type": "execute_request", "version": JUPYTER_PROTOCOL,
        }  # fmt: skip
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
        return json.dumps(
            {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        )

    def hear(self, message: Json) -> None:
        if message.get("parent_header", {}).get("msg_id") != self.message_id:
            return
        kind, content = message["msg_type"], cast("Json", message["content"])
        if kind == "stream" and content["name"] == "stdout":
            self.printed.append(content["text"])
        elif kind == "status" and content["execution_state"] == "idle":
            self.awaited.discard("idle")
        elif kind == "execute_reply":
            _expect_ok(content)
            self.awaited.discard("reply")


def execute(open_channels: OpenChannels, user: str, code: str) -> str:
    """What code prints until the kernel's reply and its idle are there.

    A websocket that was open and is cut is opened again for the same session: then the server sends what was missed.
    Raises Transient when none opens, Permanent when the code fails or no reply comes.
    """
    session, execution = uuid.uuid4().hex, _Execution()
    to_send: str | None = execution.request(session, user, code)
    deadline = time.monotonic() + KERNEL_SECONDS
    while True:
        try:
            with open_channels(session) as channels:
                if to_send:
                    channels.send(to_send)
                    to_send = None
                while execution.awaited:
                    execution.hear(_receive(channels, deadline))
            return "".join(execution.printed)
        except CUT as error:
            # Before it was open once, only a server whose kernel is slow to start is worth another try.
            hopeless = to_send and not isinstance(error, TimeoutError)
            if hopeless or time.monotonic() > deadline:
                remedy = "check that everything between here and the hub lets websockets through"
                raise Transient(
                    "hub", "open a kernel's websocket", str(error) or type(error).__name__, remedy
                ) from error
            time.sleep(REOPEN_SECONDS)


def _receive(channels: Connection, deadline: float) -> Json:
    try:
        return json.loads(channels.recv(timeout=max(deadline - time.monotonic(), 0)))
    except TimeoutError as error:
        remedy = "look at the server's log; a kernel that does not start or answer says why there"
        raise Permanent("kernel", "run code", f"no reply within {KERNEL_SECONDS} s", remedy) from error


def _expect_ok(reply: Json) -> None:
    if reply["status"] != "ok":
        answered = f"{reply.get('ename', reply['status'])}: {reply.get('evalue', '')}"
        raise Permanent("kernel", "run code", answered, "run the same in a notebook, and mend what it names")
