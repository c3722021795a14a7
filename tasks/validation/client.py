"""A hub as its users meet it: the login page, a server of one's own, a kernel over its websocket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.cookiejar import Cookie
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tasks.core.address import Address
from tasks.core.errors import Permanent, Transient
from tasks.core.wait import ask_patiently, wait_until
from tasks.validation.entry import ANY_PAGE, Door, Entry, PasswordDoor, ProviderDoor
from tasks.validation.kernel import execute

REQUEST_SECONDS = 30
HANDSHAKE_SECONDS = 20
"""A server answers only when the kernel does."""
STOP_SECONDS = 60
"""Longer than a hub that started anew takes to know whether a server runs (KubeSpawner's http_timeout, 30 s)."""

Json = dict[str, Any]


class UserSession:
    """One user at one hub, from an empty cookie jar on."""

    def __init__(
        self, address: Address, user: str, door: Door | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.user = user
        self.address = address
        self._door = door or PasswordDoor()
        self._base = address.url
        others = (door.provider,) if isinstance(door, ProviderDoor) else ()
        self._http = address.open_client(REQUEST_SECONDS, transport, others)

    def as_stranger(self) -> UserSession:
        """The same user, with nothing but an empty cookie jar."""
        return UserSession(self.address, self.user, self._door)

    def close(self) -> None:
        """Its connections are closed; use it with contextlib.closing."""
        self._http.close()

    def sign_in(self, password: SecretStr) -> Entry:
        """Go through the hub's door; what came of it."""
        return self._door.enter(self, self.user, password)

    def sign_out(self) -> None:
        """The hub knows this user no more, and its provider neither."""
        self.fetch("GET", "/hub/logout", allowed=ANY_PAGE)

    def read_asked_again(self) -> bool:
        """Whether somebody who wants to get in now is asked for a password at the provider's page."""
        assert isinstance(self._door, ProviderDoor)
        try:
            self._door.find_form(self)
        except Permanent:
            return False
        return True

    def read_roles(self) -> tuple[str, ...]:
        """This user's groups, as the hub knows them."""
        return tuple(self._send("GET", "/hub/api/user", headers=self._hub_headers()).json().get("groups", ()))

    def read_page(self, path: str) -> int:
        """The status code of a page of the hub."""
        return self._send("GET", path, allowed=ANY_PAGE).status_code

    def read_unhealthy(self) -> str:
        """Why the hub does not answer; "" when it does."""
        try:
            return "" if self.read_page("/hub/health") == HTTPStatus.OK else "the hub says it is not healthy"
        except Transient as error:
            return error.answered

    def start_server(
        self,
        timeout: float,
        on_progress: Callable[[str], None],
        on_tick: Callable[[], None],
        options: Mapping[str, str] | None = None,
    ) -> None:
        """This user's server runs, as the form's ``options`` ask for it.

        Follows the hub's own progress; Permanent, with its last word, on failure.

        ``on_tick`` is called every few seconds (the hub sends an empty line each 8 s); what it raises ends the waiting.
        """
        allowed = (HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
        wanted = dict(options or {})
        self._send("POST", f"{self._api}/server", headers=self._hub_headers(), allowed=allowed, json=wanted)
        self._follow_progress(time.monotonic() + timeout, on_progress, on_tick)
        # The server's own login: the page sends the browser to the hub and back, which sets its cookie.
        self._send("GET", self.lab)

    def stop_server(self) -> None:
        """This user's server runs no more; nothing happens when it did not.

        A hub that started anew fails to stop a server of which it does not know yet whether it runs: it is asked again.
        """
        if not self._has_server():
            return
        ask_patiently(self._ask_to_stop, lambda _said: None, seconds=STOP_SECONDS)
        wait_until(
            "hub",
            f"stop the server of {self.user}",
            lambda: "it still runs" if self._has_server() else "",
            seconds=STOP_SECONDS,
            remedy="look at the hub's log and at the pod's events",
        )

    def _ask_to_stop(self) -> None:
        allowed = (HTTPStatus.NO_CONTENT, HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST)
        self._send("DELETE", f"{self._api}/server", headers=self._hub_headers(), allowed=allowed)

    def run_code(self, code: str) -> str:
        """What code prints in a new kernel of this user's server.

        Raises Permanent when ``execute_reply`` has another status than ``ok`` (Jupyter messaging 5.3).
        """
        kernels = f"/user/{quote(self.user)}/api/kernels"
        headers = {"X-XSRFToken": self.xsrf(f"/user/{self.user}/")}
        kernel = self._send("POST", kernels, headers=headers, json={}, allowed=(HTTPStatus.CREATED,)).json()["id"]
        try:
            return execute(partial(self._open_channels, f"{kernels}/{kernel}/channels"), self.user, code)
        finally:
            # The server forgets a kernel that it started several times in vain.
            gone = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)
            self._send("DELETE", f"{kernels}/{kernel}", headers=headers, allowed=gone)

    @property
    def _api(self) -> str:
        return f"/hub/api/users/{quote(self.user)}"

    def _hub_headers(self) -> dict[str, str]:
        # The hub believes an API request by cookie only when it comes from one of its own pages.
        return {"X-XSRFToken": self.xsrf("/hub/"), "Referer": f"{self._base}/hub/home"}

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

    def _open_channels(self, path: str, session: str) -> Connection:
        url = f"{self._base}{path}"
        cookies = self._http.build_request("GET", url).headers.get("cookie", "")
        return connect(
            "ws" + url.removeprefix("http") + f"?session_id={session}",
            additional_headers={"Cookie": cookies},
            ssl=self.address.tls() if url.startswith("https") else None,
            sock=self.address.open_socket(REQUEST_SECONDS),
            open_timeout=HANDSHAKE_SECONDS,
            max_size=None,
        )

    def cookies(self) -> tuple[Cookie, ...]:
        """What the hub and this user's server know them by: as good as a password. None of an identity provider's."""
        host = httpx.URL(self._base).host
        # The jar's name of a host without a dot has one more word (RFC 2965).
        return tuple(cookie for cookie in self._http.cookies.jar if cookie.domain in (host, f"{host}.local"))

    @property
    def lab(self) -> str:
        """The address of this user's JupyterLab."""
        return f"{self._base}/user/{quote(self.user)}/lab"

    def xsrf(self, path: str) -> str:
        """The token that goes with a path: the hub and each server set a cookie of that name, each for its own."""
        cookies = [
            cookie for cookie in self._http.cookies.jar if cookie.name == "_xsrf" and path.startswith(cookie.path)
        ]
        return str(max(cookies, key=lambda cookie: len(cookie.path)).value) if cookies else ""

    def fetch(
        self, method: str, url: str, *, allowed: tuple[int, ...], data: dict[str, str] | None = None
    ) -> httpx.Response:
        """The answer at the end of all redirects; ``url`` is whole, or a path of the hub's."""
        return self._send(method, url, allowed=allowed, data=data)

    def _send(
        self, method: str, path: str, *, allowed: tuple[int, ...] = (HTTPStatus.OK,), **request: Any
    ) -> httpx.Response:
        url = path if path.startswith("http") else f"{self._base}{path}"
        asked = f"{method} {url.partition('?')[0]}"
        try:
            answer = self._http.request(method, url, **request)
        except httpx.HTTPError as error:
            remedy = "check that the hub's address reaches its proxy, its provider's too, and checks.ca in the profile"
            raise Transient("hub", asked, str(error) or type(error).__name__, remedy) from error
        if answer.status_code in allowed:
            return answer
        remedy = "look at the hub's log"
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Transient("hub", asked, f"{answer.status_code} {answer.reason_phrase}", remedy)
        raise Permanent("hub", asked, f"{answer.status_code} {answer.reason_phrase}", remedy)
