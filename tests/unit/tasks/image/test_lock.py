"""Resolving: what uv is asked, in which surroundings, and whose fault it is when it finds nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from config.images import PinnedImage
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.process import Output
from tasks.image import lock
from tasks.image.base import Base
from tasks.image.lists import PackageList
from tasks.image.lock import resolve
from tasks.image.locks import Locks

BASE = Base(PinnedImage("r.io", "base", "sha256:" + "0" * 64), "3.11", "x86_64", 36, {"tornado": "6.5"})
TEAM, MORE = PackageList("team", ("pandas>=2",)), PackageList("more", ("dask",))
DEBIAN = PackageList("debian", ())
NONE = "exit code 1: Because you require tornado<6 and tornado==6.5, your requirements are unsatisfiable."


@dataclass
class Uv:
    """What uv and pip were asked, and what they answer."""

    answers: list[str | HubError]
    pips_index: str = ""
    asked: list[str] = field(default_factory=list[str])
    constraints: list[str] = field(default_factory=list[str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def __call__(self, argv: Sequence[str | Path], **options: object) -> Output:
        words = [str(word) for word in argv]
        if "config" in words:
            if not self.pips_index:
                raise Permanent("python", "pip config get", "No such key", "")
            return Output(f"{self.pips_index}\n", "")
        self.asked.append(" ".join(words))
        self.constraints.append(Path(words[words.index("--constraint") + 1]).read_text())
        self.environment = options["env"]  # type: ignore[assignment]
        answer = self.answers.pop(0)
        if isinstance(answer, HubError):
            raise answer
        return Output(answer, "")


def resolved(monkeypatch: pytest.MonkeyPatch, uv: Uv, *lists: PackageList) -> Locks:
    monkeypatch.setattr(lock, "run", uv)
    return resolve(BASE, lists or (TEAM,), DEBIAN, lambda _text: None)


def test_a_list_goes_with_the_base_and_with_the_lists_before(monkeypatch: pytest.MonkeyPatch) -> None:
    uv = Uv(["pandas==2.2\n", ""])
    locks = resolved(monkeypatch, uv, TEAM, MORE)
    assert uv.constraints == ["tornado==6.5\n", "pandas==2.2\ntornado==6.5\n"]
    assert "--no-emit-package pandas" not in uv.asked[0]
    assert "--no-emit-package pandas --no-emit-package tornado" in uv.asked[1]
    assert locks.texts == {"team": "pandas==2.2\n", "more": ""}
    assert locks.lists == {one.name: one.hash for one in (TEAM, MORE, DEBIAN)}


def test_uv_is_asked_for_the_bases_machine_and_for_hashes_without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    uv = Uv([""])
    resolved(monkeypatch, uv)
    for words in (
        "--generate-hashes", "--no-emit-index-url", "--no-header", "--only-binary :all:",
        "--python-version 3.11", "--python-platform x86_64-manylinux_2_36",
    ):  # fmt: skip
        assert words in uv.asked[0]


@pytest.mark.parametrize(
    ("said", "kind", "remedy"),
    [
        (NONE, Permanent, "correct list team"),
        ("exit code 2: error sending request for url (http://i.test/x/)\n tcp connect error", Transient, "its index"),
        ("exit code 2: Request failed after 3 retries", Transient, "reaches its index"),
        ("exit code 2: HTTP status server error (503 Service Unavailable)", Transient, "reaches its index"),
        ("error sending request\n invalid peer certificate: UnknownIssuer", Permanent, "SSL_CERT_FILE"),
    ],
)
def test_what_uv_cannot_resolve_is_the_lists_fault_or_the_networks(
    monkeypatch: pytest.MonkeyPatch, said: str, kind: type[HubError], remedy: str
) -> None:
    with pytest.raises(kind) as raised:
        resolved(monkeypatch, Uv([Permanent("python", "uv pip compile with everything", said, "")]))
    assert "resolve list team" in str(raised.value)
    assert said in raised.value.answered
    assert remedy in raised.value.remedy
    assert "with everything" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "pips", "index"),
    [
        ({}, "", None),
        ({}, "https://file.test", "https://file.test"),
        ({"PIP_INDEX_URL": "https://pip.test"}, "https://file.test", "https://pip.test"),
        ({"UV_DEFAULT_INDEX": "https://uv.test", "PIP_INDEX_URL": "https://pip.test"}, "", "https://uv.test"),
    ],
)
def test_uv_asks_pips_index_where_it_has_none_of_its_own(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], pips: str, index: str | None
) -> None:
    for name in (*lock.INDEXES, "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    uv = Uv([""], pips)
    resolved(monkeypatch, uv)
    assert uv.environment.get("UV_DEFAULT_INDEX") == index


def test_uv_trusts_whom_pip_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("PIP_CERT", "/etc/ssl/own.crt")
    uv = Uv([""])
    resolved(monkeypatch, uv)
    assert uv.environment["SSL_CERT_FILE"] == "/etc/ssl/own.crt"
