"""The packages of the demo's image, in this machine's cache: a rebuild in a pod, which has no way out, finds them."""

from __future__ import annotations

from collections.abc import Callable

from config.images import PinnedImage
from config.profiles import load_profile
from deployments.flow_image import pin
from deployments.sandbox.cache import cache_root, digest_of
from deployments.sandbox.paths import CLONE, Paths
from tasks.core.errors import Permanent
from tasks.image.base import Base, base_of
from tasks.image.client import Engine, pull_if_missing
from tasks.image.fetch import fetch_archives, fetch_wheels
from tasks.image.inventory import read_inventory
from tasks.image.locks import read_locks

PROFILE = "sandbox"
ENGINE_SECONDS = 300.0
COMPLETE = "complete"


def ensure_demo_packages(paths: Paths, say: Callable[[str], None]) -> None:
    """Every package that the locks of the demo's image name is on disk. Nothing is asked for when it was."""
    build = load_profile(PROFILE).image.build
    assert build
    folder = CLONE / build.locks
    base = pin(build.base, str(paths.ca))
    # Beside the packages, and of these inputs alone: whoever empties the cache takes it along.
    mark = cache_root() / "packages" / f".{COMPLETE}-{digest_of(folder, str(base))[:16]}"
    if mark.exists():
        return
    locks = read_locks(folder)
    if locks is None:
        raise Permanent("image", f"read the locks in {folder}", "there are none", f"lock-image {PROFILE}")
    seen = _look_into(base, paths, say)
    fetch_wheels(locks, seen, mark.parent, say)
    fetch_archives(locks, seen, mark.parent, say)
    mark.touch()


def _look_into(base: PinnedImage, paths: Paths, say: Callable[[str], None]) -> Base:
    with Engine.connect(f"unix://{paths.podman_socket}", ENGINE_SECONDS) as engine:
        pull_if_missing(engine, str(base), None, say)
        with engine.export(str(base)) as stream:
            inventory = read_inventory(stream)
        return base_of(base, engine.read_architecture(str(base)), inventory)
