"""The inputs' hash: another one for everything that makes another image, and the same for all else."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from config.images import PinnedImage
from tasks.core.errors import Permanent
from tasks.image.context import read_context, write_context
from tasks.image.inputs import Inputs, build_arguments
from tasks.image.locks import Archive, Locks
from tasks.image.preflight import ROOM, engine_problems
from tasks.image.state import SeenEngine

BASE = PinnedImage("r.io", "base", "sha256:" + "0" * 64)
LOCKS = Locks("3.11", "x86_64", {}, {}, (Archive("git", "1", "amd64", "0"),), {})
INPUTS = Inputs(BASE, "5.5.0", cuda=False, files={"Containerfile": b"FROM x", "a": b"1"}, locks=LOCKS)
NEWER = PinnedImage("r.io", "base", "sha256:" + "1" * 64)


@pytest.mark.parametrize(
    "other",
    [
        replace(INPUTS, base=NEWER),
        replace(INPUTS, hub_version="6.0.0"),
        replace(INPUTS, cuda=True),
        replace(INPUTS, locks=replace(LOCKS, archives=(Archive("git", "2", "amd64", "0"),))),
        replace(INPUTS, files={"Containerfile": b"FROM x", "a": b"2"}),
        replace(INPUTS, files={"Containerfile": b"FROM x", "b": b"1"}),
        replace(INPUTS, files={"Containerfile": b"FROM x"}),
    ],
)
def test_another_input_is_another_hash(other: Inputs) -> None:
    assert other.tag != INPUTS.tag


def test_the_order_of_files_is_no_input() -> None:
    assert replace(INPUTS, files=dict(reversed(INPUTS.files.items()))).hash == INPUTS.hash


def test_labels_are_no_input_and_reach_the_build() -> None:
    arguments = build_arguments(INPUTS, {"REVISION": "abc"})
    assert arguments["REVISION"] == "abc"
    assert arguments["BASE"] == str(BASE)
    assert arguments["CUDA"] == "no"
    assert arguments["INPUTS"] == f"sha256:{INPUTS.hash}"


def test_a_context_is_the_same_bytes_for_the_same_contents(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    for name, text in (("Containerfile", "FROM x"), ("run", "#!/bin/sh\n"), ("tests/test_a.py", "pass")):
        (tmp_path / name).write_text(text)
    wheel = tmp_path / "wheels" / "a.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"wheel")
    files = read_context(tmp_path)
    assert set(files) == {"Containerfile", "run", "tests/test_a.py"}
    written: list[bytes] = []
    for order in (files, dict(reversed(files.items()))):
        out = io.BytesIO()
        write_context(order, {"packages/own/a.whl": wheel}, ("debian",), out)
        written.append(out.read())
    assert written[0] == written[1]
    with tarfile.open(fileobj=io.BytesIO(written[0])) as archive:
        modes = {entry.name: entry.mode for entry in archive}
    plain, executable = 0o644, 0o755
    assert modes.pop("debian") == modes.pop("run") == executable
    assert modes == dict.fromkeys(["Containerfile", "tests/test_a.py", "packages/own/a.whl"], plain)


def test_tests_are_a_context_of_their_own() -> None:
    both = replace(INPUTS, files={"Containerfile": b"FROM x", "tests/Containerfile": b"FROM y", "tests/a/b.py": b""})
    assert both.own.keys() == {"Containerfile"}
    assert both.tests == {"Containerfile": b"FROM y", "a/b.py": b""}


def test_a_context_without_a_containerfile_is_a_mistake_of_the_profile(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"image\.build\.context"):
        read_context(tmp_path)


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (SeenEngine("Podman Engine", "4.3.1", "/s", ROOM), ""),
        (SeenEngine("Podman Engine", "3.4.4", "/s", ROOM), "take 4.0 or newer"),
        (SeenEngine("Engine", "19.3.1", "/s"), "take 20.10 or newer"),
        (SeenEngine("Podman Engine", "5.0.0", "/s", ROOM - 1), "/s"),
    ],
)
def test_an_engine_that_cannot_build_is_told(engine: SeenEngine, said: str) -> None:
    problems = "".join(str(problem) for problem in engine_problems(engine))
    assert said in problems if said else problems == ""
