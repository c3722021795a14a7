"""Fetching: what pip and apt say, and what a wrong package leads to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.images import PinnedImage
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.process import Output
from tasks.image import apt, fetch
from tasks.image.base import Base
from tasks.image.locks import Archive, Locks

BASE = Base(PinnedImage("r.io", "base", "sha256:" + "0" * 64), "3.11", "x86_64", 36, {})
CONTENT = b"an archive"
GIT = Archive("git", "1:2.39", "amd64", hashlib.sha256(CONTENT).hexdigest())
URIS = f"""'http://mirror.test/pool/git_1%3a2.39_amd64.deb' git_1%3a2.39_amd64.deb 10 SHA256:{GIT.sha256}
"""


def _says(stdout: str = "", error: HubError | None = None) -> Callable[..., Output]:
    def run(*_words: Any, **_options: Any) -> Output:
        if error:
            raise error
        return Output(stdout, "")

    return run


def _quiet(_text: str) -> None:
    pass


@pytest.mark.parametrize(
    ("said", "kind", "answered"),
    [
        ("ERROR: No matching distribution found for x==1", Permanent, "the lock does not match"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", Permanent, "the lock does not match"),
        ("Retrying: Connection refused\nERROR: No matching distribution found", Transient, "Connection refused"),
        ("ConnectionResetError: retrying\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES", Permanent, "does not match"),
        ("ERROR: something else", Permanent, "something else"),
    ],
)  # fmt: skip
def test_what_pip_cannot_fetch_is_the_locks_fault_or_the_networks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, kind: type[HubError], answered: str
) -> None:
    monkeypatch.setattr(fetch, "run", _says(error=Permanent("python", "pip download", said, "")))
    with pytest.raises(kind, match=answered):
        fetch.fetch_wheels(_locks("x==1"), BASE, tmp_path, _quiet)
    assert list(tmp_path.iterdir()) == []


def test_wheels_are_fetched_once_for_the_same_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def download(argv: list[Any], **_options: Any) -> Output:
        asked.append([str(word) for word in argv])
        Path(asked[-1][asked[-1].index("--dest") + 1], "x-1-py3-none-any.whl").touch()
        return Output("", "")

    monkeypatch.setattr(fetch, "run", download)
    for text in ("x==1", "x==1", "x==2"):
        [wheel] = fetch.fetch_wheels(_locks(text), BASE, tmp_path, _quiet)["team"]
        assert wheel.name == "x-1-py3-none-any.whl"
    assert len(asked) == 2
    assert "--require-hashes" in asked[0]


def test_what_a_run_at_the_same_time_has_fetched_already_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Hubs of one machine share the cache, and often the lists."""

    calls: list[int] = []

    def download(argv: list[Any], **_options: Any) -> Output:
        calls.append(1)
        if len(calls) == 1:
            fetch.fetch_wheels(_locks("x==1"), BASE, tmp_path, _quiet)
        return _touch(argv)

    monkeypatch.setattr(fetch, "run", download)
    [wheel] = fetch.fetch_wheels(_locks("x==1"), BASE, tmp_path, _quiet)["team"]
    assert wheel.exists()
    assert len(calls) == 2
    assert [folder.name[0] for folder in tmp_path.iterdir()] == ["t"]


def test_another_base_has_wheels_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fetch, "run", lambda argv, **_options: _touch(argv))
    for base in (BASE, replace(BASE, python="3.13"), replace(BASE, machine="aarch64"), replace(BASE, glibc=31)):
        fetch.fetch_wheels(_locks("x==1"), base, tmp_path, _quiet)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_download_that_does_not_end_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fetch, "run", _says(error=Transient("python", "pip download", "did not end", "")))
    with pytest.raises(Transient):
        fetch.fetch_wheels(_locks("x==1"), BASE, tmp_path, _quiet)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_lock_fetches_nothing(tmp_path: Path) -> None:
    assert fetch.fetch_wheels(_locks(""), BASE, tmp_path, _quiet) == {}


@pytest.mark.parametrize(
    ("content", "kind", "answered"),
    [(b"another", Permanent, "its hash is another one"), (None, Transient, "404")],
)
def test_an_archive_that_is_not_what_the_lock_says_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, kind: type[HubError], answered: str
) -> None:
    _serve(monkeypatch, content)
    with pytest.raises(kind, match=answered):
        fetch.fetch_archives(_locks("", GIT), BASE, tmp_path, _quiet)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_an_archive_is_fetched_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _serve(monkeypatch, CONTENT)
    [first] = fetch.fetch_archives(_locks("", GIT), BASE, tmp_path, _quiet)
    assert first.read_bytes() == CONTENT
    monkeypatch.setattr(apt, "run", _says(error=Permanent("apt-get", "x", "must not be asked", "")))
    assert fetch.fetch_archives(_locks("", GIT), BASE, tmp_path, _quiet) == (first,)


def test_an_address_with_a_password_is_in_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(_method: str, url: str, **_options: object) -> None:
        raise httpx.ConnectError(f"cannot reach {url}")

    monkeypatch.setattr(apt, "run", _says(URIS.replace("mirror.test", "user:the-password@mirror.test")))
    monkeypatch.setattr(fetch.httpx, "stream", refuse)
    with pytest.raises(Transient) as raised:
        fetch.fetch_archives(_locks("", GIT), BASE, tmp_path, _quiet)
    assert "ConnectError" in str(raised.value)
    assert "the-password" not in str(raised.value)


def test_a_version_that_the_mirror_has_no_more_is_the_locks_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(apt, "run", _says(""))
    with pytest.raises(Permanent, match="the lock does not match"):
        fetch.fetch_archives(_locks("", GIT), BASE, tmp_path, _quiet)


def _touch(argv: list[Any]) -> Output:
    Path(argv[argv.index("--dest") + 1], "x-1-py3-none-any.whl").touch()
    return Output("", "")


def _locks(text: str, *archives: Archive) -> Locks:
    return Locks("3.11", "x86_64", {}, {"team": text}, archives, {})


def _serve(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    answer = httpx.Response(404) if content is None else httpx.Response(200, content=content)
    client = httpx.Client(transport=httpx.MockTransport(lambda _request: answer))
    monkeypatch.setattr(apt, "run", _says(URIS))
    monkeypatch.setattr(fetch.httpx, "stream", lambda method, url, **_options: client.stream(method, url))
