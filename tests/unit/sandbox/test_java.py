from pathlib import Path

import pytest

from deployments.sandbox.java import Java, newest_java


def _install(folder: Path, name: str, version: str) -> Path:
    home = folder / name
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").touch(0o755)
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return home


def test_the_newest_is_found_wherever_it_is(tmp_path: Path) -> None:
    jvm = tmp_path / "jvm"
    _install(jvm, "java-17", "17.0.15")
    _install(jvm, "java-8", "1.8.0_452")
    assert newest_java({"PATH": ""}, jvm) == Java(jvm / "java-17", 17)
    named = _install(tmp_path, "own", "25")
    assert newest_java({"PATH": "", "JAVA_HOME": str(named)}, jvm) == Java(named, 25)
    on_path = _install(tmp_path, "newer", "26.0.1")
    assert newest_java({"PATH": str(on_path / "bin")}, jvm) == Java(on_path, 26)


@pytest.mark.parametrize("release", ["", "garbled\n", 'JAVA_VERSION="x"\n'])
def test_a_folder_that_does_not_say_its_version_is_none(tmp_path: Path, release: str) -> None:
    home = _install(tmp_path / "jvm", "odd", "21")
    (home / "release").write_text(release)
    assert newest_java({"PATH": ""}, tmp_path / "jvm") is None


def test_a_machine_without_any_has_none(tmp_path: Path) -> None:
    assert newest_java({"PATH": ""}, tmp_path / "jvm") is None
