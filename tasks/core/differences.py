"""Where an object that is there differs from one that is wanted: only in the fields that the wanted one has. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from kubernetes.utils.quantity import parse_quantity

MISSING = None
WHOLE = frozenset({"subjects"})
"""Lists whose items have names, and that the API server takes as a whole all the same."""
QUANTITIES = frozenset({"limits", "requests", "capacity", "hard"})
"""Fields whose values are amounts, which the API server writes in a way of its own: 0.1 as 100m."""


def differences(want: Any, have: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each leaf of ``want`` that ``have`` holds otherwise: its dotted path, what is there, what is wanted.

    What only ``have`` has is somebody else's, or the API server's default. Items of a list are matched by name where
    all have one (so the API server merges them), else by position; one of another length is a difference as a whole.
    """
    if isinstance(want, Mapping) and isinstance(have, Mapping):
        for key, inner in cast("Mapping[str, Any]", want).items():
            found = cast("Mapping[str, Any]", have).get(key)
            yield from differences(inner, found, f"{path}.{key}".lstrip("."))
    elif (pairs := _pairs(want, have, path.rpartition(".")[2])) is not None:
        for label, wanted, found in pairs:
            yield from differences(wanted, found, f"{path}[{label}]")
    elif not _same(want, have, path):
        yield path, have, want


def _pairs(want: Any, have: Any, field: str) -> list[tuple[str, Any, Any]] | None:
    """The items of two lists that belong together; None when that cannot be said."""
    if not isinstance(want, list) or not isinstance(have, list):
        return None
    want, have = cast("list[Any]", want), cast("list[Any]", have)
    names = [_names(want), _names(have)]
    if all(names) and field not in WHOLE:
        there = dict(zip(names[1], have, strict=True))
        return [(name, item, there.get(name)) for name, item in zip(names[0], want, strict=True)]
    if len(want) == len(have) and all(isinstance(item, Mapping) for item in (*want, *have)):
        return [(str(index), item, found) for index, (item, found) in enumerate(zip(want, have, strict=True))]
    return None


def _names(items: Sequence[Any]) -> list[str]:
    """The name of each item; nothing when one has none, or two have the same."""
    names = [str(cast("Mapping[str, Any]", item).get("name", "")) for item in items if isinstance(item, Mapping)]
    return names if all(names) and len(set(names)) == len(items) else []


def _same(want: Any, have: Any, path: str) -> bool:
    if want == have or (have is MISSING and not want):
        return True  # the API server leaves out what is empty, false or zero
    fields = path.replace("[", ".").split(".")
    if have is MISSING or not QUANTITIES.intersection(fields):
        return False
    try:
        return parse_quantity(str(want)) == parse_quantity(str(have))
    except ValueError:
        return False
