import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.sandbox import machine
from deployments.sandbox.__main__ import BAD_INPUT, main
from deployments.sandbox.java import Java
from deployments.sandbox.machine import Refused, check_machine, missing_packages
from deployments.sandbox.paths import Paths


def finds_all_but(*missing: str) -> Callable[[str], str | None]:
    def which(tool: str) -> str | None:
        return None if tool in missing else f"/usr/bin/{tool}"

    return which


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", finds_all_but())
    monkeypatch.setattr(machine, "newest_java", lambda: Java(Path("/usr/lib/jvm/java-25"), 25))
    monkeypatch.setattr(machine, "COLD_BYTES", 0)
    monkeypatch.setattr(machine, "WARM_BYTES", 0)


@pytest.mark.usefixtures("able")
def test_a_machine_that_has_everything_is_accepted(tmp_path: Path) -> None:
    check_machine(Paths(Path("/clone/.sandbox")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("able")
def test_without_root_it_is_refused_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["up"]) == BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "root" in captured.err


@pytest.mark.usefixtures("able")
def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", finds_all_but("go"))
    with pytest.raises(Refused, match=r"PATH: go\."):
        check_machine(Paths(Path("/clone/.sandbox")))


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(("found", "said"), [(None, "has none"), (Java(Path("/usr/lib/jvm/java-17"), 17), "is 17")])
def test_a_java_that_is_too_old_for_keycloak_is_refused(
    monkeypatch: pytest.MonkeyPatch, found: Java | None, said: str
) -> None:
    monkeypatch.setattr(machine, "newest_java", lambda: found)
    with pytest.raises(Refused, match=rf"Java 21 or newer for Keycloak; .* {said}"):
        check_machine(Paths(Path("/clone/.sandbox")))


@pytest.mark.usefixtures("able")
def test_too_little_disk_is_refused_with_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "COLD_BYTES", 10**18)
    monkeypatch.setattr(machine, "WARM_BYTES", 10**18)
    with pytest.raises(Refused, match=r"needs 1000000000 GB"):
        check_machine(Paths(Path("/clone/.sandbox")))


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("clone", ["/a b", "/" + "x" * 100])
def test_a_path_that_no_socket_fits_into_is_refused(clone: str) -> None:
    with pytest.raises(Refused, match="too long or has a blank"):
        check_machine(Paths(Path(clone) / ".sandbox"))


def test_only_packages_that_are_missing_get_installed() -> None:
    assert missing_packages(machine.DEBIAN_PACKAGES, frozenset(machine.DEBIAN_PACKAGES)) == []
    assert missing_packages(machine.DEBIAN_PACKAGES, frozenset(machine.DEBIAN_PACKAGES) - {"runc"}) == ["runc"]
