"""A Chromium that runs already, by its DevTools (Chrome DevTools Protocol): a page in a profile of its own."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import Cookie
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tasks.core.errors import Permanent, Transient

CONNECT_SECONDS = 5
REMEDY = "look at the browser's log, and at checks.browser in the profile"
CUT = (OSError, WebSocketException)

Json = dict[str, Any]

_quiet = logging.Logger("browser", logging.CRITICAL)
"""websockets writes what it sends into its log when that is told to hold everything, and cookies are sent here."""


@dataclass
class DevTools:
    """What the browser is asked over one connection, until a deadline. Its answers may be of any size."""

    channel: Connection
    deadline: float
    _last: int = field(default=0, init=False)

    def ask(self, method: str, session: str = "", **params: Any) -> Json:
        """The result of one method. Raises Transient when none comes, Permanent when it is an error."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        try:
            self.channel.send(json.dumps({**message, "sessionId": session} if session else message))
            answer = self._receive()
        except CUT as error:
            raise Transient("browser", method, str(error) or "no answer in time", REMEDY) from error
        if "error" in answer:
            raise Permanent("browser", method, str(answer["error"].get("message")), REMEDY)
        return cast("Json", answer["result"])

    def _receive(self) -> Json:
        while True:
            answer: Json = json.loads(self.channel.recv(timeout=max(self.deadline - time.monotonic(), 0)))
            if answer.get("id") == self._last:  # and no event
                return answer


@dataclass(frozen=True)
class Page:
    """One page of the browser."""

    _devtools: DevTools
    _session: str

    def open(self, url: str) -> None:
        """The page is on its way there. Raises Permanent, with the browser's own word, when it does not get there."""
        said = self._devtools.ask("Page.navigate", self._session, url=url).get("errorText")
        if said:
            remedy = "the browser must find this address by itself, and trust the CA of its certificate"
            raise Permanent("browser", f"open {url}", said, remedy)

    def read(self, expression: str) -> str:
        """What an expression says that the page evaluates. Raises Permanent when it throws."""
        answer = self._devtools.ask("Runtime.evaluate", self._session, expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            said = answer["exceptionDetails"].get("text", "an exception")
            raise Permanent("browser", "evaluate an expression in a page", said, "look at the page in a browser")
        return str(answer["result"].get("value", ""))

    def capture(self, kind: str, quality: int) -> bytes:
        """What is to be seen of the page, as a picture; ``quality`` (0 to 100) counts for jpeg only."""
        answer = self._devtools.ask("Page.captureScreenshot", self._session, format=kind, quality=quality)
        return base64.b64decode(answer["data"])


@contextmanager
def open_page(address: str, cookies: Sequence[Json], size: tuple[int, int], seconds: float) -> Generator[Page]:
    """An empty page in a profile with these cookies and nothing else, which the browser forgets afterwards.

    All that is asked of the page must be answered within ``seconds`` from now. Raises a HubError otherwise.
    """
    deadline = time.monotonic() + seconds
    with _connect(address) as channel:
        devtools = DevTools(channel, deadline)
        # Its end is that of the connection, whatever becomes of us.
        profile = devtools.ask("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        devtools.ask("Storage.setCookies", browserContextId=profile, cookies=list(cookies))
        target = devtools.ask("Target.createTarget", url="about:blank", browserContextId=profile)["targetId"]
        session: str = devtools.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        screen = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        devtools.ask("Emulation.setDeviceMetricsOverride", session, **screen)
        yield Page(devtools, session)


def as_devtools(cookie: Cookie, url: str) -> Json:
    """A cookie as DevTools take it: for the host of ``url`` only, and until the profile ends. Pure."""
    return {
        "name": cookie.name,
        "value": cookie.value or "",
        "url": url,
        "path": cookie.path,
        "secure": cookie.secure,
        "httpOnly": cookie.has_nonstandard_attr("HttpOnly"),
    }


def _connect(address: str) -> Connection:
    """A connection to the browser itself. Raises Transient when nothing that speaks DevTools answers."""
    parts = urlsplit(address)
    # DevTools refuse other names than these, so that no page can get at them by a name of its own.
    named = "localhost"
    try:
        about = httpx.get(
            f"{address}/json/version", headers={"Host": named}, timeout=CONNECT_SECONDS, trust_env=False
        ).raise_for_status()
        path = urlsplit(about.json()["webSocketDebuggerUrl"]).path
        return connect(
            f"ws://{named}{path}",
            sock=socket.create_connection((parts.hostname, parts.port), timeout=CONNECT_SECONDS),
            open_timeout=CONNECT_SECONDS,
            close_timeout=CONNECT_SECONDS,
            max_size=None,
            logger=_quiet,
        )
    except (httpx.HTTPError, ValueError, KeyError, *CUT) as error:
        said = f"{type(error).__name__}: {error}"
        raise Transient("browser", f"connect to {address}", said, REMEDY) from error
