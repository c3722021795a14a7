"""A hub as its users meet it: the login page, a server of one's own, a kernel over its websocket."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx
from pydantic import SecretStr
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tasks.core.address import Address
from tasks.core.errors import Permanent, Transient
from tasks.core.wait import wait_until

REQUEST_SECONDS = 30
KERNEL_SECONDS = 60
STOP_SECONDS = 60
JUPYTER_PROTOCOL = "5.3"

Json = dict[str, Any]


class UserSession:
    """One user at one hub, from an empty cookie jar on."""

    def __init__(self, address: Address, user: str, transport: httpx.BaseTransport | None = None) -> None:
        self.user = user
        self.address = address
        self._base = address.url
        self._http = address.open_client(REQUEST_SECONDS, transport)

    def close(self) -> None:
        """Its connections are closed; use it with contextlib.closing."""
        self._http.close()

    def sign_in(self, password: SecretStr) -> bool:
        """Fill in the login page; whether the hub let this user in."""
        self._send("GET", "/hub/login")
        form = {"username": self.user, "password": password.get_secret_value(), "_xsrf": self._xsrf("/hub/")}
        # Without a destination the hub would send its user on to a server of theirs, and start it.
        page = "/hub/login?next=%2Fhub%2Fhome"
        answer = self._send("POST", page, data=form, allowed=(HTTPStatus.OK, HTTPStatus.FORBIDDEN))
        return answer.status_code == HTTPStatus.OK and not answer.url.path.endswith("/hub/login")

    def read_page(self, path: str) -> int:
        """The status code of a page of the hub."""
        any_answer = tuple(code for code in HTTPStatus if code < HTTPStatus.INTERNAL_SERVER_ERROR)
        return self._send("GET", path, allowed=any_answer).status_code

    def read_unhealthy(self) -> str:
        """Why the hub does not answer; "" when it does."""
        try:
            return "" if self.read_page("/hub/health") == HTTPStatus.OK else "the hub says it is not healthy"
        except Transient as error:
            return error.answered

    def start_server(self, timeout: float, on_progress: Callable[[str], None], on_tick: Callable[[], None]) -> None:
        """This user's server runs. Follows the hub's own progress; Permanent, with its last word, on failure.

        ``on_tick`` is called every few seconds (the hub sends an empty line each 8 s); what it raises ends the waiting.
        """
        allowed = (HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
        self._send("POST", f"{self._api}/server", headers=self._hub_headers(), allowed=allowed)
        self._follow_progress(time.monotonic() + timeout, on_progress, on_tick)
        # The server's own login: the page sends the browser to the hub and back, which sets its cookie.
        self._send("GET", f"/user/{quote(self.user)}/lab")

    def stop_server(self) -> None:
        """This user's server runs no more; nothing happens when it did not."""
        if not self._has_server():
            return
        allowed = (HTTPStatus.NO_CONTENT, HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST)
        self._send("DELETE", f"{self._api}/server", headers=self._hub_headers(), allowed=allowed)
        wait_until(
            "hub",
            f"stop the server of {self.user}",
            lambda: "it still runs" if self._has_server() else "",
            seconds=STOP_SECONDS,
            remedy="look at the hub's log and at the pod's events",
        )

    def run_code(self, code: str) -> str:
        """What code prints in a new kernel of this user's server.

        Raises Permanent when ``execute_reply`` has another status than ``ok`` (Jupyter messaging 5.3).
        """
        kernels = f"/user/{quote(self.user)}/api/kernels"
        headers = {"X-XSRFToken": self._xsrf(f"/user/{self.user}/")}
        kernel = self._send("POST", kernels, headers=headers, json={}, allowed=(HTTPStatus.CREATED,)).json()["id"]
        try:
            return self._execute(f"{kernels}/{kernel}/channels", code)
        finally:
            self._send("DELETE", f"{kernels}/{kernel}", headers=headers, allowed=(HTTPStatus.NO_CONTENT,))

    @property
    def _api(self) -> str:
        return f"/hub/api/users/{quote(self.user)}"

    def _hub_headers(self) -> dict[str, str]:
        # The hub believes an API request by cookie only when it comes from one of its own pages.
        return {"X-XSRFToken": self._xsrf("/hub/"), "Referer": f"{self._base}/hub/home"}

    def _has_server(self) -> bool:
        # Only "servers" is looked at: an administrator's answer would hold tokens as well.
        user = self._send("GET", "/hub/api/user", headers=self._hub_headers()).json()
        return bool(user.get("servers"))

    def _follow_progress(
        self, deadline: float, on_progress: Callable[[str], None], on_tick: Callable[[], None]
    ) -> None:
        """Read the hub's event stream until the server is ready (JupyterHub REST API 5, .../server/progress)."""
        asked = f"start the server of {self.user}"
        said = "nothing"
        headers = self._hub_headers() | {"Accept": "text/event-stream"}
        url = f"{self._base}{self._api}/server/progress"
        try:
            with self._http.stream("GET", url, headers=headers, timeout=deadline - time.monotonic()) as answer:
                for line in answer.iter_lines():
                    on_tick()
                    if line.startswith("data:"):
                        event: Json = json.loads(line.removeprefix("data:"))
                        said = event.get("message", said)
                        on_progress(said)
                        if event.get("failed"):
                            raise Permanent("hub", asked, said, "look at the pod's events and at the hub's log")
                        if event.get("ready"):
                            return
                    if time.monotonic() > deadline:
                        break
        except httpx.HTTPError as error:
            remedy = "check that the hub and its proxy run"
            raise Transient("hub", asked, f"{type(error).__name__} after {said!r}", remedy) from error
        remedy = "look at the pod's events, or give it more time in server.start_timeout"
        raise Permanent("hub", asked, f"it was not ready in time; the last word was {said!r}", remedy)

    def _execute(self, path: str, code: str) -> str:
        session = uuid.uuid4().hex
        url = f"{self._base}{path}"
        cookies = self._http.build_request("GET", url).headers.get("cookie", "")
        try:
            with connect(
                "ws" + url.removeprefix("http") + f"?session_id={session}",
                additional_headers={"Cookie": cookies},
                ssl=self.address.tls() if url.startswith("https") else None,
                sock=self.address.open_socket(REQUEST_SECONDS),
                open_timeout=REQUEST_SECONDS,
                max_size=None,
            ) as channels:
                return _run_in_kernel(channels, session, self.user, code)
        except (OSError, WebSocketException) as error:
            remedy = "check that everything between here and the hub lets websockets through"
            raise Transient("hub", f"open {path}", str(error) or type(error).__name__, remedy) from error

    def _xsrf(self, path: str) -> str:
        """The token that goes with a path: the hub and each server set a cookie of that name, each for its own."""
        cookies = [
            cookie for cookie in self._http.cookies.jar if cookie.name == "_xsrf" and path.startswith(cookie.path)
        ]
        return str(max(cookies, key=lambda cookie: len(cookie.path)).value) if cookies else ""

    def _send(
        self, method: str, path: str, *, allowed: tuple[int, ...] = (HTTPStatus.OK,), **request: Any
    ) -> httpx.Response:
        asked = f"{method} {self._base}{path}"
        try:
            answer = self._http.request(method, f"{self._base}{path}", **request)
        except httpx.HTTPError as error:
            remedy = "check that the hub's address reaches its proxy, and checks.ca in the profile"
            raise Transient("hub", asked, str(error) or type(error).__name__, remedy) from error
        if answer.status_code in allowed:
            return answer
        remedy = "look at the hub's log"
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Transient("hub", asked, f"{answer.status_code} {answer.reason_phrase}", remedy)
        raise Permanent("hub", asked, f"{answer.status_code} {answer.reason_phrase}", remedy)


def _run_in_kernel(channels: Connection, session: str, user: str, code: str) -> str:
    """Send one ``execute_request`` and gather what it prints until its reply and the kernel's idle are there."""
    header = {
        "msg_id": uuid.uuid4().hex, "session": session, "username": user,
        "msg_type": "execute_request", "version": JUPYTER_PROTOCOL,
    }  # fmt: skip
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channels.send(json.dumps(request))
    printed: list[str] = []
    awaited = {"reply", "idle"}
    deadline = time.monotonic() + KERNEL_SECONDS
    while awaited:
        message = _receive(channels, deadline)
        if message.get("parent_header", {}).get("msg_id") != header["msg_id"]:
            continue
        kind, content = message["msg_type"], cast("Json", message["content"])
        if kind == "stream" and content["name"] == "stdout":
            printed.append(content["text"])
        elif kind == "status" and content["execution_state"] == "idle":
            awaited.discard("idle")
        elif kind == "execute_reply":
            _expect_ok(content)
            awaited.discard("reply")
    return "".join(printed)


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
