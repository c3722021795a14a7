from pathlib import Path

import pytest

from deployments.sandbox.ownership import read_owner, sole_command, write_owner
from deployments.sandbox.paths import Paths
from tasks.core.errors import Permanent


def test_a_second_command_is_told_at_once_who_is_at_it(tmp_path: Path) -> None:
    first, second = (Paths(tmp_path / name / ".sandbox", tmp_path / "run") for name in ("one", "two"))
    with sole_command(first), pytest.raises(Permanent, match=r"process \d+ of .*/one is at it"), sole_command(second):
        pass
    with sole_command(second):
        assert (second.lock).exists()


def test_a_lock_whose_file_was_deleted_meanwhile_is_not_taken_for_one(tmp_path: Path) -> None:
    paths = Paths(tmp_path / ".sandbox", tmp_path / "run")
    with sole_command(paths):
        (paths.lock).unlink()
    with sole_command(paths):
        assert (paths.lock).exists()


def test_the_owner_is_who_wrote_last_and_nonsense_is_nobody(tmp_path: Path) -> None:
    paths = Paths(tmp_path / ".sandbox", tmp_path / "run")
    assert read_owner(paths) is None
    write_owner(paths)
    assert read_owner(paths) == paths.state
    paths.owner.write_text("{")
    assert read_owner(paths) is None
