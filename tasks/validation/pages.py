"""Sign-in pages of identity providers, read as a browser would: pure."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

TOLD_IDS = ("input-error", "kc-error-message", "kc-page-title")
"""Elements in which Keycloak 26 says what is wrong, the most telling first."""


@dataclass(frozen=True)
class Form:
    """A page's form that asks for a password, and what a browser would send with it."""

    action: str
    fields: dict[str, str]
    """Hidden fields, and what is filled in already."""
    username: str
    password: str
    """The names of the two fields that a person fills in."""


def parse_form(page: str, url: str) -> Form | None:
    """The first form of a page at ``url`` that asks for a password; None without one."""
    reader = _Reader()
    reader.feed(page)
    for form in reader.forms:
        inputs = form["inputs"]
        passwords = [name for name, (kind, _) in inputs.items() if kind == "password"]
        names = [name for name, (kind, _) in inputs.items() if kind in ("text", "email", "")]
        if passwords and names:
            kept = {name: value for name, (kind, value) in inputs.items() if kind in ("hidden", "text", "email", "")}
            return Form(urljoin(url, form["action"]), kept, names[0], passwords[0])
    return None


def told_by(page: str) -> str:
    """What a page says is wrong, or its title; "" when it says nothing that we know to look for."""
    reader = _Reader()
    reader.feed(page)
    found = (" ".join(reader.texts.get(name, "").split()) for name in (*TOLD_IDS, "title"))
    return next((text for text in found if text), "")


class _Reader(HTMLParser):
    """Gathers forms with their inputs, and the text of elements that we look for."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.texts: dict[str, str] = {}
        self._inside: tuple[str, str, int] | None = None
        """The element whose text is being read: under which name, its tag, and how deep in tags of that kind."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({"action": given.get("action", ""), "inputs": {}})
        elif tag == "input" and self.forms and given.get("name"):
            self.forms[-1]["inputs"][given["name"]] = (given.get("type", ""), given.get("value", ""))
        name = "title" if tag == "title" else given.get("id", "")
        if self._inside and self._inside[1] == tag:
            self._inside = (self._inside[0], tag, self._inside[2] + 1)
        elif not self._inside and name in (*TOLD_IDS, "title"):
            self._inside = (name, tag, 1)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[1] == tag:
            name, _, depth = self._inside
            self._inside = (name, tag, depth - 1) if depth > 1 else None

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside[0]] = self.texts.get(self._inside[0], "") + data
