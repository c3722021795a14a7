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
    write_locks(tmp_path, replace(LOCKS, lists={**LOCKS.lists, "gone": HASH}, texts={**LOCKS.texts, "gone": "x==1"}))
    assert (tmp_path / "gone.txt").exists()
    write_locks(tmp_path, LOCKS)
    assert read_locks(tmp_path) == LOCKS
    assert {file.name for file in tmp_path.iterdir()} == {"team.txt", "debian.txt", "lock.json"}


def test_what_is_no_lock_of_ours_stays(tmp_path: Path) -> None:
    for name in ("README.md", "requirements.txt", "notes.txt"):
        (tmp_path / name).write_text("ours")
    write_locks(tmp_path, LOCKS)
    write_locks(tmp_path, replace(LOCKS, lists={}, texts={}))
    assert {file.name for file in tmp_path.iterdir() if file.read_text() == "ours"} == {
        "README.md", "requirements.txt", "notes.txt",
    }  # fmt: skip
    assert not (tmp_path / "team.txt").exists()


def test_the_same_locks_are_the_same_files(tmp_path: Path) -> None:
    turned = replace(LOCKS, base={"b": "2", "a": "1"}), replace(LOCKS, base={"a": "1", "b": "2"})
    for folder, locks in zip((tmp_path / "one", tmp_path / "two"), turned, strict=True):
        write_locks(folder, locks)
    for name in ("lock.json", "team.txt", "debian.txt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_where_nothing_is_there_are_no_locks(tmp_path: Path) -> None:
    assert read_locks(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lock.json", "{"),
        ("lock.json", "[]"),
        ("lock.json", "{}"),
        ("debian.txt", "git 1"),
        ("team.txt", None),
        ("debian.txt", None),
        ("lock.json", '{"python": "3.11", "machine": "x86_64", "lists": ["team"], "base": {}}'),
    ],
)
def test_garbled_locks_are_told(tmp_path: Path, name: str, text: str | None) -> None:
    write_locks(tmp_path, LOCKS)
    (tmp_path / name).unlink()
    if text:
        (tmp_path / name).write_text(text)
    with pytest.raises(Permanent, match="they are garbled") as raised:
        read_locks(tmp_path)
    assert f"delete {tmp_path / 'lock.json'}" in raised.value.remedy


def test_what_the_remedy_for_garbled_locks_says_helps(tmp_path: Path) -> None:
    write_locks(tmp_path, LOCKS)
    (tmp_path / "debian.txt").write_text("garbled")
    (tmp_path / "lock.json").unlink()
    assert read_locks(tmp_path) is None
    write_locks(tmp_path, LOCKS)
    assert read_locks(tmp_path) == LOCKS


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


def test_the_first_lock_is_made_of_everything() -> None:
    assert [f"{change.action} {change.what}" for change in plan_locks(None, LOCKS)] == [
        "create debian git", "create team dask", "create team pandas", "create list debian", "create list team",
    ]  # fmt: skip
    nothing = replace(LOCKS, texts={"team": ""}, archives=())
    assert not plan_locks(None, nothing).empty


@pytest.mark.parametrize(
    ("after", "change"),
    [
        (replace(LOCKS, texts={"team": TEXT.replace(HASH, "0" * 64, 1)}), "update team pandas: 2.2 -> 2.2, by other"),
        (replace(LOCKS, archives=(replace(GIT, sha256="0" * 64),)), "update debian git: 1:2.39 -> 1:2.39, by other"),
        (replace(LOCKS, archives=(replace(GIT, version="1:2.40"),)), "update debian git: 1:2.39 -> 1:2.40"),
        (replace(LOCKS, lists={**LOCKS.lists, "team": "0" * 64}), f"update list team: {TEAM.hash[:12]} -> {'0' * 12}"),
        (replace(LOCKS, lists={"debian": DEBIAN.hash}), "delete list team"),
        (replace(LOCKS, base={"numpy": "2.1"}), "update base numpy: 2.0 -> 2.1"),
        (replace(LOCKS, python="3.13"), "update base Python: 3.11 on x86_64 -> 3.13 on x86_64"),
        (replace(LOCKS, machine="aarch64"), "update base Python: 3.11 on x86_64 -> 3.11 on aarch64"),
    ],
)
def test_whatever_would_be_written_is_in_the_plan(after: Locks, change: str) -> None:
    """Else a proposal says that nothing is to be done, while a build refuses the locks as they are."""
    [one] = plan_locks(LOCKS, after)
    assert str(one).startswith(change)
    assert plan_locks(after, after).empty


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
