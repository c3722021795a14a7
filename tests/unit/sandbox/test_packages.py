"""The packages of the demo's image: fetched once, and then not even looked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deployments import flow_image
from deployments.sandbox import packages
from deployments.sandbox.packages import ensure_demo_packages
from deployments.sandbox.paths import Paths
from tasks.core.errors import Transient
from tasks.image.base import Base

PATHS = Paths(Path("/clone/.sandbox"), Path("/run/hubwright"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was asked for; the base's tag stands for the digest in ``digest``."""
    asked: list[str] = []

    class Registry:
        def __init__(self, *_words: object) -> None:
            pass

        def read_digest(self, _repository: str, _tag: str) -> str:
            return (tmp_path / "digest").read_text()

        def close(self) -> None:
            pass

    def look(base: Any, *_words: object) -> Base:
        asked.append("base")
        return Base(base, "3.11", "x86_64", 36, {})

    def wheels(*_words: object) -> Mapping[str, tuple[Path, ...]]:
        asked.append("wheels")
        return {}

    def archives(*_words: object) -> tuple[Path, ...]:
        asked.append("archives")
        if (tmp_path / "offline").exists():
            raise Transient("mirror", "download", "ConnectError", "")
        return ()

    (tmp_path / "digest").write_text("sha256:" + "0" * 64)
    (tmp_path / "hubwright" / "packages").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(flow_image, "Registry", Registry)
    monkeypatch.setattr(packages, "_look_into", look)
    monkeypatch.setattr(packages, "fetch_wheels", wheels)
    monkeypatch.setattr(packages, "fetch_archives", archives)
    return asked


def _quiet(_text: str) -> None:
    pass


def test_a_second_time_nothing_is_asked_for(asked: list[str]) -> None:
    ensure_demo_packages(PATHS, _quiet)
    assert asked == ["base", "wheels", "archives"]
    ensure_demo_packages(PATHS, _quiet)
    assert asked == ["base", "wheels", "archives"]


def test_another_base_has_packages_of_its_own(asked: list[str], tmp_path: Path) -> None:
    ensure_demo_packages(PATHS, _quiet)
    (tmp_path / "digest").write_text("sha256:" + "1" * 64)
    ensure_demo_packages(PATHS, _quiet)
    assert asked.count("wheels") == 2


def test_half_of_them_do_not_count(asked: list[str], tmp_path: Path) -> None:
    (tmp_path / "offline").touch()
    with pytest.raises(Transient):
        ensure_demo_packages(PATHS, _quiet)
    (tmp_path / "offline").unlink()
    ensure_demo_packages(PATHS, _quiet)
    assert asked.count("archives") == 2
