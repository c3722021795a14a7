"""Locks for real: what uv, pip and apt of this machine make of lists over the sandbox's base, and what they refuse."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.sandbox.addresses import HOSTS_DOMAIN
from tasks.core.errors import Permanent, Transient
from tasks.image.base import Base
from tasks.image.fetch import fetch_archives, fetch_wheels
from tasks.image.lists import PackageList
from tasks.image.lock import resolve
from tasks.image.locks import Locks, read_locks
from tests.sandbox.conftest import Ended
from tests.sandbox.image.conftest import Own, in_a_flow

NOBODY_LISTENS = "http://127.0.0.1:9/simple"
WRONG = "0" * 64
NONE = PackageList("debian", ())
TREE = PackageList("debian", ("tree",))
TABULATE = PackageList("team", ("tabulate",))
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _quiet(_text: str) -> None:
    pass


@pytest.fixture(scope="module")
def base(own: Own) -> Base:
    with in_a_flow(own.sandbox):
        return own.base


@pytest.fixture(scope="module")
def locks(base: Base) -> Locks:
    """Locks of one list of each kind."""
    return resolve(base, (TABULATE,), TREE, _quiet)


def _refused(base: Base, *lists: PackageList, debian: PackageList = NONE) -> Permanent:
    with pytest.raises(Permanent) as raised:
        resolve(base, lists, debian, _quiet)
    return raised.value


# What lists stand for.


def test_the_same_lists_stand_for_the_same_packages(base: Base, locks: Locks) -> None:
    assert resolve(base, (TABULATE,), TREE, _quiet) == locks
    assert {name.rpartition(" ")[0] for name in locks.packages} == {"team", "debian"}
    assert all(len(archive.sha256) == len(WRONG) for archive in locks.archives)


def test_a_lock_names_no_address(locks: Locks) -> None:
    assert "://" not in f"{locks.texts}{locks.debian}"
    assert "index-url" not in str(locks.texts)


def test_what_another_list_or_the_base_has_is_not_locked_again(base: Base) -> None:
    second = PackageList("second", ("humanize>=1", "tornado", "tabulate"))
    found = resolve(base, (PackageList("first", ("humanize",)), second), NONE, _quiet)
    assert list(found.packages) == ["first humanize", "second tabulate"]


def test_an_extra_of_what_the_base_has_brings_only_what_is_missing(base: Base) -> None:
    found = resolve(base, (PackageList("team", ("requests[socks]",)),), NONE, _quiet)
    assert list(found.packages) == ["team pysocks"]


def test_a_list_that_does_not_go_with_the_base_is_told_with_the_conflict(base: Base) -> None:
    error = _refused(base, PackageList("team", ("tornado<6",)))
    assert error.asked == "resolve list team"
    assert "tornado<6" in error.answered
    assert f"tornado=={base.packages['tornado']}" in error.answered


@pytest.mark.parametrize("wanted", ["hubwright-has-no-such-package", "tabulate>=9999"])
def test_a_python_package_that_nobody_has_is_told(base: Base, wanted: str) -> None:
    error = _refused(base, PackageList("team", (wanted,)))
    assert wanted in error.answered
    assert "correct list team" in error.remedy


@pytest.mark.parametrize("wanted", ["hubwright-has-no-such-package", "tree=0.0-1"])
def test_a_debian_package_that_no_source_has_is_told(base: Base, wanted: str) -> None:
    error = _refused(base, debian=PackageList("debian", (wanted,)))
    assert wanted.partition("=")[0] in error.answered
    assert "list of Debian packages" in error.remedy


# A network that does not answer is nobody's mistake.


def test_an_index_that_does_not_answer_is_not_the_lists_fault(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", NOBODY_LISTENS.replace("//", "//user:the-password@"))
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(Transient, match="reaches its index") as raised:
        resolve(base, (TABULATE,), NONE, _quiet)
    assert "the-password" not in str(raised.value)


def test_a_source_that_does_not_answer_is_not_the_lists_fault(base: Base) -> None:
    source = b"deb http://user:the-password@127.0.0.1:9/debian bookworm main\n"
    down = replace(base, files={**base.files, "etc/apt/sources.list": source})
    with pytest.raises(Transient, match="apt's sources answer") as raised:
        resolve(down, (), TREE, _quiet)
    assert "the-password" not in str(raised.value)


def test_a_source_is_believed_by_the_bases_keys_alone(base: Base) -> None:
    """By a key that only the base has it is; by one that signed nothing there it is not."""
    [machines] = [file for file in Path("/etc/apt").rglob("debian.sources") if KEYRING in file.read_text()] or [None]
    if machines is None:
        pytest.skip("this machine's source is written in another way")
    ring = Path(KEYRING).read_bytes()
    elsewhere = machines.read_text().replace(KEYRING, "/usr/share/keyrings/only-in-the-base.gpg").encode()
    known = {"etc/apt/sources.list.d/base.sources": elsewhere, "usr/share/keyrings/only-in-the-base.gpg": ring}
    found = resolve(replace(base, files=base.files | known), (), TREE, _quiet)
    assert "debian tree" in found.packages
    known["usr/share/keyrings/only-in-the-base.gpg"] = b""
    error = _refused(replace(base, files=base.files | known), debian=TREE)
    assert "their keys" in error.remedy


# Fetching what a lock names.


def test_wheels_are_fetched_once_and_then_need_no_network(
    base: Base, locks: Locks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch_wheels(locks, base, tmp_path, _quiet)
    [wheel] = first["team"]
    assert wheel.name.startswith("tabulate-")
    monkeypatch.setenv("PIP_INDEX_URL", NOBODY_LISTENS)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    assert fetch_wheels(locks, base, tmp_path, _quiet) == first
    with pytest.raises(Transient, match="reaches its index"):
        fetch_wheels(locks, base, tmp_path / "empty", _quiet)


@pytest.mark.parametrize("text", ["tabulate==9999", "tabulate=={version}"])
def test_a_lock_that_does_not_match_the_index_is_told(base: Base, locks: Locks, tmp_path: Path, text: str) -> None:
    version = locks.packages["team tabulate"][0]
    wrong = replace(locks, texts={"team": f"{text.format(version=version)} --hash=sha256:{WRONG}\n"})
    with pytest.raises(Permanent, match="the lock does not match") as raised:
        fetch_wheels(wrong, base, tmp_path, _quiet)
    assert "lock-image" in raised.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_archives_are_fetched_once_and_then_need_no_network(
    base: Base, locks: Locks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch_archives(locks, base, tmp_path, _quiet)
    assert any(file.name.startswith("tree_") for file in first)
    monkeypatch.setenv("PATH", "/nowhere")
    assert fetch_archives(locks, base, tmp_path, _quiet) == first


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"sha256": WRONG}, "the lock does not match"), ({"version": "0.0-1"}, "Version '0.0-1' for 'tree'")],
)
def test_an_archive_that_no_source_has_any_more_is_told(
    base: Base, locks: Locks, tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    [tree] = [archive for archive in locks.archives if archive.name == "tree"]
    with pytest.raises(Permanent) as raised:
        fetch_archives(replace(locks, archives=(replace(tree, **wrong),)), base, tmp_path, _quiet)
    assert said in raised.value.answered
    assert "lock-image" in raised.value.remedy
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


# The command.


def _lock_image(own: Own, *words: str) -> Ended:
    return own.sandbox.flows("lock-image", str(own.profile), "--json", *words)


def _times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}


def test_locks_are_proposed_then_written_then_left_as_they_are(own: Own) -> None:
    folder = own.folder / "locks"
    shutil.rmtree(folder)
    proposed = _lock_image(own, "--propose")
    assert proposed.code == 2, proposed.stderr[-3000:]
    assert not folder.exists()
    written = _lock_image(own)
    assert written.code == 0, written.stderr[-3000:]
    assert written.result == proposed.result
    assert [change["what"] for change in written.result["plan"]] == ["team tabulate", "list debian", "list team"]
    before = _times(folder)
    for words in (("--propose",), ()):
        again = _lock_image(own, *words)
        assert (again.code, again.result) == (0, {"plan": []}), again.stderr[-3000:]
    assert _times(folder) == before
    assert not any("://" in file.read_text() for file in folder.iterdir())


def test_a_list_that_asks_for_the_same_in_another_way_is_a_change_too(own: Own) -> None:
    """A build would refuse the lock as it is: so a proposal must not say that there is nothing to do."""
    before = read_locks(own.folder / "locks")
    assert before
    (own.folder / "team.txt").write_text("tabulate>=0.1\n")
    proposed = _lock_image(own, "--propose")
    assert proposed.code == 2, proposed.stderr[-3000:]
    assert [change["what"] for change in proposed.result["plan"]] == ["list team"]
    assert _lock_image(own).code == 0
    after = read_locks(own.folder / "locks")
    assert after
    assert (after.texts, after.lists != before.lists) == (before.texts, True)


def test_garbled_locks_are_made_anew_by_what_the_error_says(own: Own) -> None:
    about = own.folder / "locks" / "lock.json"
    about.write_text("{")
    ended = _lock_image(own)
    assert ended.code == 1
    assert f"delete {about}" in ended.stderr
    about.unlink()
    assert _lock_image(own).code == 0
    assert read_locks(about.parent)


def test_a_list_that_cannot_be_resolved_writes_nothing(own: Own) -> None:
    before = _times(own.folder / "locks")
    own.build(packages=["tornado<6"])
    ended = _lock_image(own)
    own.build(packages=[])
    assert ended.code == 1
    assert "resolve list own" in ended.stderr
    assert ended.stdout == ""
    assert _times(own.folder / "locks") == before


@pytest.mark.parametrize("flow", ["lock-image", "rebuild-image"])
def test_a_profile_that_builds_nothing_is_bad_input(own: Own, flow: str, tmp_path: Path) -> None:
    host = f"{os.urandom(4).hex()}.{HOSTS_DOMAIN}"
    (tmp_path / "hub.yaml").write_text(f"extends: sandbox-iav-v1\nname: nobody\ningress: {{host: {host}}}\n")
    ended = own.sandbox.flows(flow, str(tmp_path / "hub.yaml"))
    assert ended.code == 3
    assert "image.build" in ended.stderr
