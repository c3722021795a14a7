"""What will change, as data: a Change is one thing, a Plan is all of them in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

HIDDEN = "(hidden)"
SHOWN_CHARACTERS = 120


class Action(StrEnum):
    """What happens to a thing."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True)
class Change:
    """One thing that a run will change. Never holds a secret: build those with ``hidden``."""

    action: Action
    what: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        values = f": {self.before or 'nothing'} -> {self.after or 'nothing'}" if self.before or self.after else ""
        return f"{self.action} {self.what}{values}"

    @classmethod
    def of(cls, action: Action, what: str, before: Any = "", after: Any = "") -> Change:
        """A change with its values as short text."""
        return cls(action, what, _short(before), _short(after))

    @classmethod
    def hidden(cls, action: Action, what: str) -> Change:
        """A change of something secret: that it changes is said, its values are not."""
        return cls(action, what, "" if action is Action.CREATE else HIDDEN, HIDDEN)


@dataclass(frozen=True)
class Plan:
    """Everything that one run will change, in order; nothing when things are as they should be."""

    changes: tuple[Change, ...] = ()

    def __add__(self, other: Plan) -> Plan:
        return Plan(self.changes + other.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.changes


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested mappings, by dotted path; a list is a leaf, since its order may matter."""
    if not isinstance(value, Mapping) or not value:
        return {path: value} if path else {}
    leaves: dict[str, Any] = {}
    for key, inner in cast("Mapping[str, Any]", value).items():
        leaves |= flatten(inner, f"{path}.{key}" if path else key)
    return leaves


def compare(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Plan:
    """The plan that turns one nested mapping into another, one change for each leaf that differs."""
    old, new = flatten(before), flatten(after)
    changes: list[Change] = []
    for path in sorted(old.keys() | new.keys()):
        if path not in old:
            changes.append(Change.of(Action.CREATE, f"{what} {path}", "", new[path]))
        elif path not in new:
            changes.append(Change.of(Action.DELETE, f"{what} {path}", old[path], ""))
        elif old[path] != new[path]:
            changes.append(Change.of(Action.UPDATE, f"{what} {path}", old[path], new[path]))
    return Plan(tuple(changes))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
