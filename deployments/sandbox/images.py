"""The sandbox's container images, which no registry here has: built from packages alone, and cached."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployments.sandbox import image_archives, image_build, image_sources
from deployments.sandbox.cache import build_once, digest_of
from deployments.sandbox.image_build import build_layout
from deployments.sandbox.image_sources import DebianRoot, NodeModules, Program, Source, Wheels

FOLDERS = Path(__file__).parent / "images"
BUILDERS = (Path(image_build.__file__), Path(image_sources.__file__))
UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Image:
    """An image: the folder of its name under ``images/``, what is fetched for it, and the image below.

    With ``like`` it is made as another one, with the files of its own folder in place of that one's.
    ``packages`` are Debian packages over the base; as new as the day the image is built.
    """

    name: str
    sources: tuple[Source, ...] = ()
    base: str = ""
    like: str = ""
    packages: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """What its build context is made of, one over the other."""
        return tuple(FOLDERS / name for name in (self.like, self.name) if name)


IMAGES = {
    image.name: image
    for image in (
        Image("pause", (Program("catatonit", "catatonit"),)),
        Image("busybox", (Program("busybox", "busybox-static"),)),
        Image("base", (DebianRoot(("ca-certificates", "python3", "python3-venv", "sqlite3", "tini")),)),
        Image("hub", (Wheels(),), base="base"),
        Image("hub-4", (Wheels(),), base="base", like="hub"),
        Image("proxy", (Wheels(), NodeModules()), base="base"),
        Image("notebook", (Wheels(),), base="base"),
        Image("notebook-no-kernel", base="notebook"),
        Image("postgresql", base="base", packages=("postgresql-15", "libnss-wrapper")),
        Image("podman", base="base", packages=("podman", "runc", "netavark")),
        Image("browser", base="base", packages=("chromium-headless-shell", "fonts-dejavu-core", "libnss3-tools")),
    )
}


def ensure_image(name: str, on_line: Callable[[str], None]) -> Path:
    """An OCI layout folder with exactly this image, built when it is missing, and its base before it.

    Raises Permanent or Transient when it cannot be built.
    """
    image = IMAGES[name]
    base = ensure_image(image.base, on_line) if image.base else None
    inputs = [item for source in image.sources for item in source.inputs()]
    if image.packages:
        inputs += (Path(image_archives.__file__), *image.packages)
    # The name of the base's folder ends in its key.
    key = digest_of(*image.folders, *BUILDERS, *inputs, base.name if base else "")
    return build_once("images", name, key, lambda folder: _build(image, base, folder, on_line))


def _build(image: Image, base: Path | None, layout: Path, say: Callable[[str], None]) -> None:
    unfinished = layout / UNFINISHED
    context = unfinished / "context"
    for folder in image.folders:
        shutil.copytree(folder, context, dirs_exist_ok=True)
    for source in image.sources:
        source.fetch(context, say)
    if image.packages:
        assert base
        image_archives.fetch_over(base, image.packages, context, say)
    build_layout(context, base, unfinished / "engine", layout, say)
    shutil.rmtree(unfinished)
