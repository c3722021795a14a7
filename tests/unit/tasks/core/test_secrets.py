"""Reading a secret: its place is named when something is wrong, its content never."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from config.secrets import SecretRef
from tasks.core import secrets as module
from tasks.core.errors import Permanent
from tasks.core.objects import Kind
from tasks.core.secrets import read_secret

BLOCK = SecretRef(prefect_block="hub-password")
KEY = SecretRef.model_validate({"kubernetes": {"namespace": "n", "name": "s", "key": "k"}})


class _Cluster:
    """A cluster with one object at most."""

    def __init__(self, found: dict[str, Any] | None) -> None:
        self.found = found
        self.asked: list[tuple[str, str, str | None]] = []

    def read(self, kind: Kind, name: str, namespace: str | None) -> dict[str, Any] | None:
        self.asked.append((kind.name, name, namespace))
        return self.found


def _read(ref: SecretRef, found: dict[str, Any] | None = None) -> str:
    return read_secret(ref, _Cluster(found)).get_secret_value()  # pyright: ignore[reportArgumentType]


def _data(value: bytes) -> dict[str, Any]:
    return {"data": {"k": base64.b64encode(value).decode()}}


def test_a_key_of_a_secret_is_read_from_its_namespace() -> None:
    cluster = _Cluster(_data("pässword".encode()))
    assert read_secret(KEY, cluster).get_secret_value() == "pässword"  # pyright: ignore[reportArgumentType]
    assert cluster.asked == [("Secret", "s", "n")]


@pytest.mark.parametrize("found", [None, {}, {"data": {}}, {"data": {"other": "eA=="}}, _data(b""), _data(b"\xff\xfe")])
def test_a_key_that_cannot_be_used_is_named(found: dict[str, Any] | None) -> None:
    with pytest.raises(Permanent, match="read the key k of Secret n/s"):
        _read(KEY, found)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "nothing is there"), (b"\n", "nothing is there"), (b"\xff", "UTF-8")]
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(Permanent, match=said) as error:
        _read(SecretRef(file=str(file)))
    assert error.value.asked == f"read the file {file}"


def test_a_block_of_prefect_is_loaded_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def load(name: str) -> module.Secret[str]:
        names.append(name)
        return module.Secret[str](value="from-prefect")

    monkeypatch.setattr(module.Secret, "load", load)
    assert _read(BLOCK) == "from-prefect"
    assert names == ["hub-password"]


def test_a_block_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> module.Secret[str]:
        raise ValueError(f"Unable to find block document named {name}")

    monkeypatch.setattr(module.Secret, "load", load)
    with pytest.raises(Permanent, match="read the Prefect Secret block hub-password: there is no such block"):
        _read(BLOCK)


def test_what_was_read_shows_itself_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB", "hunter2")
    found = read_secret(SecretRef(env="HUB"), _Cluster(None))  # pyright: ignore[reportArgumentType]
    assert "hunter2" not in f"{found} {found!r}"
    assert found.get_secret_value() == "hunter2"
