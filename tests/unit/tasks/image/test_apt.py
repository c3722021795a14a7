"""apt over a base: what it says, which sources and keys it goes by, and what it is never asked to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from config.images import PinnedImage
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.process import Output
from tasks.image import apt
from tasks.image.apt import Offer, list_offers
from tasks.image.base import Base
from tasks.image.locks import Archive

SHA = "a" * 64
BASE = Base(
    PinnedImage("r.io", "base", "sha256:" + "0" * 64), "3.11", "x86_64", 36, {}, {"var/lib/dpkg/status": b"Package: a"}
)
MIRROR = "http://mirror.test/pool"


@dataclass
class Apt:
    """What apt was asked, with what it was given, and what it answers to each of its two commands."""

    update: str | HubError = ""
    install: str | HubError = ""
    asked: list[list[str]] = field(default_factory=list[list[str]])
    given: dict[str, str] = field(default_factory=dict[str, str])

    def __call__(self, argv: Sequence[str | Path], **_options: object) -> Output:
        words = [str(word) for word in argv]
        self.asked.append(words)
        folder = Path(self.setting("Dir::State")).parent
        files = [file for file in folder.rglob("*") if file.is_file()]
        self.given = {file.relative_to(folder).as_posix(): file.read_text() for file in files}
        answer = self.update if "update" in words else self.install
        if isinstance(answer, HubError):
            raise answer
        return Output(answer, "")

    def setting(self, name: str) -> str:
        """What the last command was told by ``-o``; empty where nothing."""
        return next((word.partition("=")[2] for word in self.asked[-1] if word.startswith(f"{name}=")), "")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Apt:
    """apt, on a machine that has a source of its own."""
    made = Apt()
    monkeypatch.setattr(apt, "run", made)
    monkeypatch.setattr(apt, "OWN_SOURCES", tmp_path)
    (tmp_path / "sources.list").write_text("deb http://own.test stable main")
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "more.sources").write_text("URIs: http://more.test")
    return made


def offers(base: Base = BASE, *wanted: str) -> tuple[Offer, ...]:
    return list_offers(base, wanted or ("git",), lambda _text: None)


def no(said: str) -> Permanent:
    return Permanent("apt-get", "apt-get -o a=b", said, "a remedy of nobody's")


def test_pins_of_this_machine_do_not_count(fake: Apt) -> None:
    offers()
    folder = Path(fake.setting("Dir::State")).parent
    for name in ("Dir::Etc::preferences", "Dir::Etc::preferencesparts"):
        assert Path(fake.setting(name)).is_relative_to(folder)


def test_what_apt_offers_is_read_with_epoch_architecture_and_hash(fake: Apt) -> None:
    fake.install = (
        "Reading package lists...\n"
        f"'{MIRROR}/git_1%3a2.39-5_amd64.deb' git_1%3a2.39-5_amd64.deb 10 SHA256:{SHA}\n"
        f"'{MIRROR}/git-man_1%3a2.39-5_all.deb' git-man_1%3a2.39-5_all.deb 10 SHA256:{SHA} \n"
        f"'{MIRROR}/a_1.0~rc1+b_amd64.deb' a_1.0~rc1+b_amd64.deb 10 SHA256:{SHA}\n"
    )
    assert offers() == (
        Offer(Archive("a", "1.0~rc1+b", "amd64", SHA), f"{MIRROR}/a_1.0~rc1+b_amd64.deb"),
        Offer(Archive("git", "1:2.39-5", "amd64", SHA), f"{MIRROR}/git_1%3a2.39-5_amd64.deb"),
        Offer(Archive("git-man", "1:2.39-5", "all", SHA), f"{MIRROR}/git-man_1%3a2.39-5_all.deb"),
    )


def test_apt_is_not_asked_for_nothing(fake: Apt) -> None:
    assert list_offers(BASE, [], lambda _text: None) == ()
    assert fake.asked == []


def test_an_archive_without_a_hash_is_refused_without_its_address(fake: Apt) -> None:
    """The address is as a source names it, and sources may have a password in it."""
    for kind in ("MD5Sum:00", ""):
        fake.install = f"'http://user:the-password@m.test/git_1_amd64.deb' git_1_amd64.deb 10 {kind}\n"
        with pytest.raises(Permanent, match="SHA-256") as raised:
            offers()
        assert "git_1_amd64.deb" in str(raised.value)
        assert "the-password" not in str(raised.value)


@pytest.mark.parametrize(
    ("said", "answered", "remedy"),
    [
        ("E: Unable to locate package gti", "Unable to locate package gti", "lock-image"),
        ("E: Version '1' for 'git' was not found", "Version '1' for 'git' was not found", "lock-image"),
        (
            "Package awk is a virtual package\nE: Package 'awk' has no installation candidate",
            "Package 'awk' has no installation candidate",
            "lock-image",
        ),
        ("E: Unable to correct problems, you have held broken packages.", "held broken packages", "another base"),
    ],
)
def test_what_no_source_has_is_the_lists_fault(fake: Apt, said: str, answered: str, remedy: str) -> None:
    fake.install = no(said)
    with pytest.raises(Permanent) as raised:
        offers()
    assert answered in raised.value.answered
    assert remedy in raised.value.remedy
    assert "-o a=b" not in str(raised.value)


@pytest.mark.parametrize(
    ("said", "kind", "remedy"),
    [
        ("E: Failed to fetch http://m.test/InRelease  Could not connect", Transient, "apt's sources answer"),
        ("E: The repository 'http://m.test stable InRelease' is not signed.", Permanent, "their keys"),
        ("W: GPG error: http://m.test: NO_PUBKEY 0E98", Permanent, "their keys"),
        ("cannot be started (No such file or directory)", Permanent, "on Debian or Ubuntu"),
    ],
)
def test_sources_that_do_not_answer_are_not_the_lists_fault(
    fake: Apt, said: str, kind: type[HubError], remedy: str
) -> None:
    fake.update = no(said)
    with pytest.raises(kind) as raised:
        offers()
    assert remedy in raised.value.remedy
    assert said in raised.value.answered
    assert len(fake.asked) == 1


def test_a_source_that_does_not_answer_ends_the_look(fake: Apt) -> None:
    """apt alone goes on without it, and then knows older packages, or none."""
    offers()
    assert "APT::Update::Error-Mode=any" in fake.asked[0]


def test_apt_is_kept_to_the_base_and_away_from_this_machine(fake: Apt) -> None:
    offers(replace(BASE, machine="aarch64"), "git=1:2.39")
    assert fake.asked[-1][-1] == "git=1:2.39"
    assert fake.setting("APT::Architecture") == "arm64"
    assert fake.given["status"] == "Package: a"
    assert not Path(fake.setting("Dir::State")).exists()


def test_a_base_without_sources_has_this_machines(fake: Apt) -> None:
    keys = {"etc/apt/trusted.gpg.d/base.asc": b"key", "etc/apt/sources.list": b"\n"}
    offers(replace(BASE, files=BASE.files | keys))
    assert fake.given["etc/sources.list"] == "deb http://own.test stable main"
    assert fake.given["etc/sources.list.d/more.sources"] == "URIs: http://more.test"
    assert fake.setting("Dir::Etc::trustedparts") == ""


def test_a_base_with_sources_has_its_own_keys_too(fake: Apt) -> None:
    """That of Ubuntu has keys that a Debian machine does not have, and the other way round."""
    files = {
        "etc/apt/sources.list.d/ubuntu.sources": b"URIs: http://u.test\nSigned-By: /usr/share/keyrings/ubuntu.gpg\n",
        "usr/share/keyrings/ubuntu.gpg": b"ubuntu's key",
        "etc/apt/keyrings/tool.asc": b"a tool's key",
        "etc/apt/trusted.gpg.d/ubuntu.asc": b"trusted",
    }
    offers(replace(BASE, files=BASE.files | files))
    folder = Path(fake.setting("Dir::State")).parent
    [source] = [text for name, text in fake.given.items() if name.startswith("etc/sources")]
    assert source.splitlines() == ["URIs: http://u.test", f"Signed-By: {folder}/usr/share/keyrings/ubuntu.gpg"]
    assert fake.given["usr/share/keyrings/ubuntu.gpg"] == "ubuntu's key"
    assert fake.given["etc/apt/keyrings/tool.asc"] == "a tool's key"
    assert fake.setting("Dir::Etc::trustedparts") == f"{folder}/etc/apt/trusted.gpg.d"
