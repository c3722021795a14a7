"""A picture of the JupyterLab of somebody who is signed in, for people who look at a run."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tasks.core.errors import Permanent
from tasks.core.wait import wait_until
from tasks.validation.browser import Page, as_devtools, open_page
from tasks.validation.client import UserSession

SIZE = (1280, 720)
LARGEST_BYTES = 100_000
"""Prefect keeps it in its database, and each look at the run loads it."""
STEPS = (("png", 100), ("jpeg", 80), ("jpeg", 50), ("jpeg", 20))
"""Kind and quality, best first."""
PICTURE_SECONDS = 20
LOADED_SECONDS = 15
NEWS_SECONDS = 3
"""JupyterLab 4 asks somebody new whether they want to get its news, a moment after it is there."""
POLL_SECONDS = 0.2

MISSING = """
(path => {
  const status = performance.getEntriesByType("navigation")[0]?.responseStatus;
  if (status >= 400) return `the server answered ${status}`;
  if (!location.pathname.startsWith(path)) return `the browser ended at ${location.pathname}`;
  if (document.readyState !== "complete") return "the page is still loading";
  if (!document.querySelector("#jp-main-dock-panel")) return "JupyterLab is not in the page yet";
  if (document.querySelector("#jupyterlab-splash")) return "JupyterLab is still starting";
  const empty = !document.querySelector(".jp-LauncherCard, #jp-main-dock-panel .jp-Document");
  return empty ? "JupyterLab shows neither its launcher nor a document" : "";
})
"""
"""Says what is missing until JupyterLab is there, with its launcher or what its user left open."""

NEWS = """
(() => {
  const asks = [...document.querySelectorAll(".Toastify__toast")].find(one => /Jupyter news/.test(one.textContent));
  if (!asks) return "";
  [...asks.querySelectorAll("button")].find(button => button.textContent.trim() === "No")?.click();
  return "asked";
})()
"""
"""Answers with No, and says whether there was a question."""


@dataclass(frozen=True)
class Picture:
    """An image, small enough to be kept with a run."""

    kind: str
    content: bytes

    @property
    def url(self) -> str:
        """Itself, as an address that needs no server."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.content).decode()}"


def take_picture(browser: str, user: UserSession) -> Picture:
    """What somebody sees who opens their JupyterLab, and whose server runs. The browser gets no password.

    Raises a HubError, soon after PICTURE_SECONDS at the latest.
    """
    url = user.lab
    cookies = [as_devtools(cookie, url) for cookie in user.cookies()]
    with open_page(browser, cookies, SIZE, PICTURE_SECONDS) as page:
        page.open(url)
        expression = f"{MISSING}({json.dumps(urlsplit(url).path)})"
        remedy = "open it in a browser as this user, and look at the server's log"
        wait_until(
            "browser", f"show {url}", lambda: page.read(expression),
            seconds=LOADED_SECONDS, remedy=remedy, every=POLL_SECONDS,
        )  # fmt: skip
        _answer_news(page)
        return choose(page.capture)


def _answer_news(page: Page) -> None:
    """JupyterLab does not ask, or it was answered, and its question is gone."""
    asked, deadline = False, time.monotonic() + NEWS_SECONDS
    while time.monotonic() < deadline:
        there = bool(page.read(NEWS))
        if asked and not there:
            return
        asked = asked or there
        time.sleep(POLL_SECONDS)


def choose(capture: Callable[[str, int], bytes]) -> Picture:
    """The best picture that is small enough. Raises Permanent when none is."""
    size = 0
    for kind, quality in STEPS:
        content = capture(kind, quality)
        size = len(content)
        if size <= LARGEST_BYTES:
            return Picture(kind, content)
    answered = f"even the smallest has {size} bytes, and {LARGEST_BYTES} are kept at most"
    raise Permanent("browser", "take a picture", answered, "look at what this user has open in JupyterLab")
