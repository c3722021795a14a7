"""The build context: its own files and the packages, as one tar that is the same for the same contents."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from tasks.core.errors import Permanent

EXECUTABLE, PLAIN = 0o755, 0o644
SHEBANG = b"#!"
TESTS = "tests"
"""The folder of the tests, which has a Containerfile of its own."""


def read_context(folder: Path) -> dict[str, bytes]:
    """The files that the image is built by: the Containerfile, what it copies, and the tests; lists and locks apart.

    Raises Permanent when there is no Containerfile.
    """
    if not (folder / "Containerfile").is_file():
        remedy = "correct image.build.context in the profile: it is the folder of a Containerfile"
        raise Permanent("image", f"read {folder / 'Containerfile'}", "there is none", remedy)
    tests = (folder / TESTS).rglob("*")
    files = [file for file in (*folder.iterdir(), *tests) if file.is_file() and "__pycache__" not in file.parts]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(files)}


def split_context(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files that the image itself is built by, and those that it is tried by, as a context of their own."""
    inside = f"{TESTS}/"
    own = {name: content for name, content in files.items() if not name.startswith(inside)}
    tests = {name.removeprefix(inside): content for name, content in files.items() if name.startswith(inside)}
    return own, tests


def write_context(
    files: Mapping[str, bytes], packages: Mapping[str, Path], folders: tuple[str, ...], out: IO[bytes]
) -> None:
    """``out`` holds the tar, and stands at its beginning. ``packages`` are files by their path in the context.

    ``folders`` are there even when nothing is in them: a Containerfile cannot copy what may be missing.
    """
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, EXECUTABLE
            archive.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), EXECUTABLE if content.startswith(SHEBANG) else PLAIN
            archive.addfile(entry, io.BytesIO(content))
        for name, path in sorted(packages.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = path.stat().st_size, PLAIN
            with path.open("rb") as content:
                archive.addfile(entry, content)
    out.seek(0)
