from pathlib import Path

from deployments.sandbox.kernel import remember_settings, restore_settings
from deployments.sandbox.paths import Paths


def test_settings_get_the_values_back_that_they_had_first(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "run")
    setting = tmp_path / "vm" / "overcommit_memory"
    setting.parent.mkdir()
    for value in ("0\n", "1\n"):
        setting.write_text(value)
        remember_settings(paths, tmp_path)
    restore_settings(paths, tmp_path)
    assert setting.read_text() == "0\n"


def test_without_anything_remembered_nothing_is_written(tmp_path: Path) -> None:
    restore_settings(Paths(tmp_path / "state", tmp_path / "run"), tmp_path)
    assert list(tmp_path.iterdir()) == []
