"""Debian packages over the sandbox's base image, fetched on the host so that a build needs no network."""

from __future__ import annotations

import json
import platform
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from config.images import PinnedImage
from deployments.sandbox.image_sources import DEBIAN_RELEASE, NEWEST_GLIBC, PYTHON, debian_mirror
from tasks.core.errors import Permanent
from tasks.core.process import run
from tasks.image.apt import SOURCES, STATUS, list_offers
from tasks.image.base import Base
from tasks.image.fetch import cache_folder, fetch_archive

UNPACK_SECONDS = 120.0
FOLDER = "debian"
"""Where a build context has the archives."""


def fetch_over(layout: Path, packages: Sequence[str], context: Path, say: Callable[[str], None]) -> None:
    """The context's folder has the archives of these packages, and of all they need that the base does not have.

    ``layout`` is the base's OCI layout. The archives come from where the base itself came from, as new as today.
    """
    base = _base(read_status(layout, context))
    folder = context / FOLDER
    folder.mkdir()
    for offer in list_offers(base, packages, say):
        archive = fetch_archive(offer, cache_folder(), say)
        shutil.copyfile(archive, folder / archive.name)


def read_status(layout: Path, scratch: Path) -> bytes:
    """What dpkg says is installed in an image of one layer. Raises Permanent for one without Debian."""
    asked = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-decompress", f"oci:{layout}"]
    with TemporaryDirectory(dir=scratch) as folder:
        run([*asked, f"dir:{folder}"], timeout=UNPACK_SECONDS, remedy=f"remove {layout}, then try again")
        [layer] = json.loads((Path(folder) / "manifest.json").read_text())["layers"]
        with tarfile.open(Path(folder) / layer["digest"].removeprefix("sha256:")) as archive:
            status = archive.extractfile(STATUS) if STATUS in archive.getnames() else None
            if status is None:
                raise Permanent("image", f"read /{STATUS} in {layout}", "there is none", "take a base of Debian")
            return status.read()


def _base(status: bytes) -> Base:
    """As much of a base as apt needs."""
    files = {STATUS: status, SOURCES: f"deb {debian_mirror()} {DEBIAN_RELEASE} main\n".encode()}
    image = PinnedImage("localhost", "base", "")
    return Base(image, PYTHON, platform.machine(), NEWEST_GLIBC, {}, files)
