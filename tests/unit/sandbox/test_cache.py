"""What is built is built once, whole, and again when what it is made from changes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from deployments.sandbox.cache import KEPT, build_once, cache_root, digest_of


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _make(folder: Path) -> None:
    (folder / "made").write_text("whole")


def _finished(kind: str) -> list[str]:
    return sorted(path.name for path in (cache_root() / kind).iterdir() if not path.name.startswith("."))


def test_the_cache_is_in_the_home_folder_without_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "hubwright"


def test_the_same_key_is_built_once() -> None:
    key = digest_of("inputs")
    first = build_once("kind", "name", key, _make)
    second = build_once("kind", "name", key, lambda _folder: pytest.fail("built again"))
    assert first == second == cache_root() / "kind" / f"name-{key[:16]}"
    assert (first / "made").read_text() == "whole"


def test_what_a_failed_build_left_is_not_taken_for_finished() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        build_once("kind", "name", digest_of("inputs"), fail)
    assert _finished("kind") == []
    again = build_once("kind", "name", digest_of("inputs"), _make)
    assert [path.name for path in again.iterdir()] == ["made"]


def test_a_killed_build_is_built_anew() -> None:
    child = os.fork()
    if child == 0:
        build_once("kind", "name", digest_of("inputs"), lambda folder: ((folder / "half").touch(), os._exit(1)))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert _finished("kind") == []
    assert [path.name for path in build_once("kind", "name", digest_of("inputs"), _make).iterdir()] == ["made"]


def test_two_builds_at_once_are_one() -> None:
    started, go_on, built = threading.Event(), threading.Event(), []

    def build(folder: Path) -> None:
        built.append(folder)
        started.set()
        assert go_on.wait(5)
        _make(folder)

    def once() -> None:
        build_once("kind", "name", digest_of("inputs"), build)

    threads = [threading.Thread(target=once) for _ in range(2)]
    threads[0].start()
    assert started.wait(5)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert len(built) == 1


def test_the_newest_two_of_a_name_stay() -> None:
    for age, text in enumerate("abc"):
        folder = build_once("kind", "name", digest_of(text), _make)
        os.utime(folder, (age, age))
    other = build_once("kind", "name-longer", digest_of("a"), _make)
    newest = build_once("kind", "name", digest_of("d"), _make)
    assert len(_finished("kind")) == KEPT + 1
    assert {newest.name, other.name, f"name-{digest_of('c')[:16]}"} == set(_finished("kind"))


@pytest.mark.parametrize("change", ["text", "content", "name", "more", "nested"])
def test_a_key_changes_with(change: str, tmp_path: Path) -> None:
    def inputs(folder: Path, changed: str) -> str:
        (folder / "inner").mkdir(parents=True)
        (folder / ("b" if changed == "name" else "a")).write_text("2" if changed == "content" else "1")
        (folder / "inner" / "c").write_text("2" if changed == "nested" else "1")
        if changed == "more":
            (folder / "d").touch()
        return digest_of(folder, "2" if changed == "text" else "1")

    same = inputs(tmp_path / "one", "")
    assert inputs(tmp_path / "two", "") == same
    assert inputs(tmp_path / "three", change) != same


def test_a_key_tells_inputs_apart() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of("a", "b") != digest_of("b", "a")


def test_what_python_compiled_is_not_an_input(tmp_path: Path) -> None:
    before = digest_of(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "module.pyc").touch()
    assert digest_of(tmp_path) == before
