"""Debian packages over the sandbox's base: which the base lacks, read out of its own layout."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deployments.sandbox import image_archives
from tasks.core.errors import Permanent
from tasks.core.process import Output
from tasks.image.apt import SOURCES, STATUS, Offer
from tasks.image.base import Base
from tasks.image.locks import Archive

INSTALLED = b"Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n"
GIT = Offer(Archive("git", "1:2.39", "amd64", "ab" * 32), "http://mirror.test/git.deb")


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The files of the base's one layer, which skopeo unpacks into a folder."""
    files = {STATUS: INSTALLED}

    def unpack(argv: Sequence[str], **_options: Any) -> Output:
        folder = Path(argv[-1].removeprefix("dir:"))
        (folder / "manifest.json").write_text(json.dumps({"layers": [{"digest": "sha256:abc"}]}))
        with tarfile.open(folder / "abc", "w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return Output("", "")

    monkeypatch.setattr(image_archives, "run", unpack)
    return files


@pytest.mark.usefixtures("layer")
def test_the_context_has_what_the_base_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Base, Sequence[str]]] = []

    def offer(base: Base, wanted: Sequence[str], _say: object) -> tuple[Offer, ...]:
        asked.append((base, wanted))
        return (GIT,)

    def fetch(_offer: Offer, _cache: Path, _say: object) -> Path:
        file = tmp_path / "git_1%3a2.39_amd64.deb"
        file.write_bytes(b"git")
        return file

    monkeypatch.setattr(image_archives, "list_offers", offer)
    monkeypatch.setattr(image_archives, "fetch_archive", fetch)
    monkeypatch.setattr(image_archives, "debian_mirror", lambda: "http://mirror.test/debian")
    context = tmp_path / "context"
    context.mkdir()
    image_archives.fetch_over(Path("/base"), ("git",), context, lambda _line: None)
    assert [file.read_bytes() for file in (context / "debian").iterdir()] == [b"git"]
    [(base, wanted)] = asked
    assert wanted == ("git",)
    assert base.files == {STATUS: INSTALLED, SOURCES: b"deb http://mirror.test/debian bookworm main\n"}
    assert [file.name for file in context.iterdir()] == ["debian"]


def test_an_image_without_debian_is_no_base(layer: dict[str, bytes], tmp_path: Path) -> None:
    del layer[STATUS]
    with pytest.raises(Permanent, match="there is none"):
        image_archives.read_status(Path("/base"), tmp_path)
