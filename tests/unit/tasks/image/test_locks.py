"""Locks: read as they were written, compared package by package, and told when they do not match."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from config.images import PinnedImage
from tasks.core.errors import Permanent
from tasks.image.base import Base
from tasks.image.lists import PackageList
from tasks.image.locks import Archive, Locks, lock_problems, pins, plan_locks, read_locks, write_locks

HASH = "f" * 64
TEXT = f"""\
pandas==2.2 \\
    --hash=sha256:{HASH}
dask[dataframe]==1.0 ; python_version >= '3' \\
    --hash=sha256:{HASH}
"""
TEAM, DEBIAN = PackageList("team", ("pandas",)), PackageList("debian", ("git",))
GIT = Archive("git", "1:2.39", "amd64", HASH)
LOCKS = Locks("3.11", "x86_64", {"team": TEAM.hash, "debian": DEBIAN.hash}, {"team": TEXT}, (GIT,), {"numpy": "2.0"})
BASE = Base(PinnedImage("r.io", "base", f"sha256:{HASH}"), "3.11", "x86_64", 36, {"numpy": "2.0"})


def test_locks_are_read_as_they_were_written_and_what_is_left_over_goes(tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_text("x==1")
    (tmp_path / "README.md").write_text("ours")
    write_locks(tmp_path, LOCKS)
    assert read_locks(tmp_path) == LOCKS
    assert {file.name for file in tmp_path.iterdir()} == {"team.txt", "debian.txt", "lock.json", "README.md"}


def test_where_nothing_is_there_are_no_locks(tmp_path: Path) -> None:
    assert read_locks(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [("lock.json", "{"), ("lock.json", "[]"), ("lock.json", "{}"), ("debian.txt", "git 1"), ("team.txt", None)],
)
def test_garbled_locks_are_told(tmp_path: Path, name: str, text: str | None) -> None:
    write_locks(tmp_path, LOCKS)
    (tmp_path / name).unlink()
    if text:
        (tmp_path / name).write_text(text)
    with pytest.raises(Permanent, match="they are garbled"):
        read_locks(tmp_path)


def test_pins_are_read_with_extras_and_markers() -> None:
    assert dict(pins(TEXT)) == {"pandas": "2.2", "dask": "1.0"}


def test_a_new_lock_is_a_change_for_each_package() -> None:
    after = replace(LOCKS, texts={"team": TEXT.replace("2.2", "2.3").replace("dask[dataframe]", "polars")})
    changes = [str(change) for change in plan_locks(LOCKS, after)]
    assert changes == [
        "delete team dask: 1.0 -> nothing",
        "update team pandas: 2.2 -> 2.3",
        "create team polars: nothing -> 1.0",
    ]
    assert plan_locks(LOCKS, LOCKS).empty
    assert len(list(plan_locks(None, LOCKS))) == 3


@pytest.mark.parametrize(
    ("locks", "lists", "base", "said"),
    [
        (LOCKS, (TEAM, DEBIAN), BASE, ""),
        (None, (TEAM, DEBIAN), None, "there are none"),
        (LOCKS, (replace(TEAM, requirements=("pandas>=2",)), DEBIAN), None, "list team was changed since"),
        (LOCKS, (TEAM, DEBIAN, PackageList("own", ("x",))), None, "list own has no lock"),
        (LOCKS, (DEBIAN,), None, "list team has a lock, and the profile does not name it"),
        (LOCKS, (TEAM, DEBIAN), replace(BASE, python="3.13"), "for Python 3.11 on x86_64, and the base has 3.13"),
        (LOCKS, (TEAM, DEBIAN), replace(BASE, packages={"numpy": "2.1"}), "the base has numpy 2.1, not 2.0"),
        (LOCKS, (TEAM, DEBIAN), replace(BASE, packages={}), "the base has numpy not at all, not 2.0"),
        (
            replace(LOCKS, base=dict.fromkeys("abcde", "1")), (TEAM, DEBIAN), replace(BASE, packages={}),
            "c not at all, not 1 and 2 more",
        ),
    ],
)  # fmt: skip
def test_locks_that_do_not_match_are_told(
    locks: Locks | None, lists: tuple[PackageList, ...], base: Base | None, said: str
) -> None:
    problems = lock_problems("hub", locks, lists, base)
    assert len(problems) == (1 if said else 0)
    assert all(said in problem.found and "lock-image hub" in problem.remedy for problem in problems)


def test_a_base_of_another_digest_with_the_same_packages_matches() -> None:
    other = replace(BASE, image=PinnedImage("r.io", "base", "sha256:" + "0" * 64))
    assert lock_problems("hub", LOCKS, (TEAM, DEBIAN), other) == ()


def test_a_lock_names_no_address(tmp_path: Path) -> None:
    write_locks(tmp_path, LOCKS)
    assert not any("://" in file.read_text() for file in tmp_path.iterdir())
    assert json.loads((tmp_path / "lock.json").read_text())["python"] == "3.11"
