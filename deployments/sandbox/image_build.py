"""Building one image: from a folder with a Containerfile to an OCI layout, with an engine of its own.

The engine's storage lives and dies with the build, so neither Podman's own storage nor its settings are touched,
and a build that was killed leaves nothing but a folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deployments.sandbox.image_sources import ISOLATED
from tasks.core.process import run

BUILD_SECONDS = 1800.0
COPY_SECONDS = 600.0
REMEDY = "read the lines above, then try again"
TIMESTAMP = "1767225600"
"""2026-01-01 in seconds, for all files: the same inputs make the same image. ZIP knows no time before 1980."""
# crun does not start on machines with both kinds of cgroups, and without systemd there is no other cgroup manager.
CONTAINERS_CONF = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "{work}/run/engine"
"""
STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{work}/storage"
runroot = "{work}/run/storage"
"""


def build_layout(context: Path, base: Path | None, work: Path, layout: Path, say: Callable[[str], None]) -> None:
    """``layout`` is an OCI layout of the image that ``context`` describes, one layer over ``base``'s.

    ``base`` is known to the Containerfile as ``localhost/base``. ``work`` is an empty folder for the engine.
    """
    environment = _settings(work)

    def engine(argv: Sequence[str | Path], timeout: float) -> None:
        run([*ISOLATED, *argv], timeout=timeout, env=environment, remedy=REMEDY, on_line=say)

    if base is not None:
        engine(_copy(f"oci:{base}", "containers-storage:localhost/base"), COPY_SECONDS)
    engine(
        [
            "podman", "build", "--isolation=chroot", "--network=host", "--http-proxy=false", "--pull=never",
            "--layers=false", "--timestamp", TIMESTAMP, "--tag=localhost/built", context,
        ],
        BUILD_SECONDS,
    )  # fmt: skip
    engine(_copy("containers-storage:localhost/built", f"oci:{layout}"), COPY_SECONDS)


def _copy(source: str, target: str) -> list[str]:
    """zstd, not gzip: the images are an eighth smaller, and unpack four times as fast."""
    return ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-compress-format=zstd", source, target]


def _settings(work: Path) -> Mapping[str, str]:
    """Files and variables that keep the engine within ``work``."""
    scratch = work / "tmp"
    scratch.mkdir(parents=True)
    files = {"CONTAINERS_CONF": work / "containers.conf", "CONTAINERS_STORAGE_CONF": work / "storage.conf"}
    for file, text in zip(files.values(), (CONTAINERS_CONF, STORAGE_CONF), strict=True):
        file.write_text(text.format(work=work))
    return {**os.environ, **{name: str(file) for name, file in files.items()}, "TMPDIR": str(scratch)}
