"""Phase image, what stands in the way of a build: pure."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.core.problems import Problem
from tasks.image.state import SeenEngine

ROOM = 10 * 2**30
"""Bytes: base, layers, and each layer once more while it is packed for the push."""
GIB = 2**30
OLDEST = {"Podman Engine": (4, 0), "Docker": (20, 10)}
"""The first that speak version 1.41 of the API."""


def engine_problems(engine: SeenEngine) -> tuple[Problem, ...]:
    """What keeps this engine from building."""
    return (*_too_old(engine), *_too_full(engine))


def _too_old(engine: SeenEngine) -> Iterator[Problem]:
    oldest = OLDEST.get(engine.name, OLDEST["Docker"])
    parts = [int(part) for part in engine.version.split(".")[:2] if part.isdigit()]
    if tuple(parts) < oldest:
        wanted = ".".join(map(str, oldest))
        yield Problem(engine.name, f"it is of version {engine.version}", f"take {wanted} or newer")


def _too_full(engine: SeenEngine) -> Iterator[Problem]:
    if engine.free_bytes is not None and engine.free_bytes < ROOM:
        found = f"{engine.free_bytes / GIB:.1f} GiB are free for images, and a build may need {ROOM / GIB:.0f} GiB"
        remedy = "remove images that nobody needs where the engine runs (podman image prune), or give it a larger disk"
        yield Problem(f"disk of {engine.name} ({engine.storage})", found, remedy)
