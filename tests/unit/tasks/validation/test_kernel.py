"""Code in a kernel whose websocket is cut, and kernels that do not answer."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidHandshake

from tasks.core.errors import Permanent, Transient
from tasks.validation import kernel
from tasks.validation.kernel import execute


class _Server:
    """A kernel's end of the websocket: each opening is an error, or messages until one that is an error."""

    def __init__(self, *openings: Any) -> None:
        self.openings = list(openings)
        self.sessions: list[str] = []
        self.sent: list[Any] = []

    def open(self, session: str) -> Any:
        self.sessions.append(session)
        opening = self.openings.pop(0)
        if isinstance(opening, Exception):
            raise opening
        messages = list(opening)

        def receive(timeout: float) -> str:
            assert timeout >= 0
            message = messages.pop(0)
            if isinstance(message, Exception):
                raise message
            kind, content = message
            parent = {"msg_id": self.sent[0]["header"]["msg_id"]}
            return json.dumps({"parent_header": parent, "msg_type": kind, "content": content})

        return nullcontext(SimpleNamespace(recv=receive, send=lambda text: self.sent.append(json.loads(text))))


PRINTED = ("stream", {"name": "stdout", "text": "42"})
REPLY = ("execute_reply", {"status": "ok"})
IDLE = ("status", {"execution_state": "idle"})
CUT = ConnectionClosedError(None, None)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "REOPEN_SECONDS", 0)


def test_what_code_prints_is_gathered_until_reply_and_idle() -> None:
    server = _Server([PRINTED, REPLY, IDLE])
    assert execute(server.open, "bob", "6*7") == "42"
    assert server.sent[0]["content"]["code"] == "6*7"


def test_a_cut_websocket_is_opened_again_for_the_same_session_and_nothing_is_sent_twice() -> None:
    server = _Server([PRINTED, CUT], CUT, TimeoutError(), [REPLY, IDLE])
    assert execute(server.open, "bob", "6*7") == "42"
    assert len(server.sessions) == 4
    assert len(set(server.sessions)) == len(server.sent) == 1


def test_a_server_whose_kernel_is_slow_to_start_is_asked_again() -> None:
    assert execute(_Server(TimeoutError(), [PRINTED, REPLY, IDLE]).open, "bob", "6*7") == "42"


def test_a_websocket_that_never_opens_may_be_tried_again_later() -> None:
    with pytest.raises(Transient, match="lets websockets through"):
        execute(_Server(InvalidHandshake("no upgrade")).open, "bob", "1")


def test_a_cut_that_lasts_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "KERNEL_SECONDS", -1)
    with pytest.raises(Transient):
        execute(_Server([CUT]).open, "bob", "1")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (TimeoutError(), "no reply within"),
        (("execute_reply", {"status": "error", "ename": "E", "evalue": "v"}), "E: v"),
    ],
)
def test_code_that_fails_or_never_ends_is_an_error(message: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A bound that is over ends the waiting for a message as it ends that for a websocket.
    monkeypatch.setattr(kernel, "KERNEL_SECONDS", 0)
    with pytest.raises(Permanent, match=said):
        execute(_Server([message]).open, "bob", "1")
