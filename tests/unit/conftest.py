"""The fast tests touch nothing outside: no socket, and no process but where a test is about processes."""

from __future__ import annotations

import subprocess
from collections.abc import Generator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _no_sockets() -> Generator[None, None, None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(autouse=True)
def _no_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "processes" in request.keywords:
        return

    def refuse(*arguments: object, **_options: object) -> None:
        raise AssertionError(f"a fast test started a process: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
