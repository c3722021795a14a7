"""The keeper on real SQLite files: whole copies, sealed; brought back whole or not at all."""

from __future__ import annotations

import importlib.util
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tasks.database import scripts


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, with its paths in a folder of the test's own."""
    spec = importlib.util.spec_from_file_location("keeper", Path(scripts.__file__).with_name("keeper.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "DATABASE", str(tmp_path / "jupyterhub.sqlite"))
    monkeypatch.setattr(module, "FOLDER", str(tmp_path / "kept"))
    monkeypatch.setattr(module, "REPLACED", str(tmp_path / "kept" / "replaced.sqlite"))
    return module


def write(keeper: Any, schema: str, user: str) -> None:
    with closing(sqlite3.connect(keeper.DATABASE)) as database, database:
        database.execute("create table if not exists alembic_version (version_num text)")
        database.execute("create table if not exists users (name text)")
        database.execute("delete from alembic_version")
        database.execute("insert into alembic_version values (?)", (schema,))
        database.execute("insert into users values (?)", (user,))


def users(path: str) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("select name from users")]


def back_up(keeper: Any, name: str, *kept: str) -> dict[str, Any]:
    return keeper.back_up(f"{keeper.FOLDER}/{name}.sqlite", *kept)


def test_a_hub_that_never_ran_has_no_schema(keeper: Any) -> None:
    assert keeper.look() == {"schema": ""}


def test_what_was_backed_up_comes_back_and_what_was_replaced_is_kept(keeper: Any) -> None:
    write(keeper, "old", "ada")
    made = back_up(keeper, "release-1")
    assert made["schema"] == "old"
    assert made["bytes"] == Path(made["file"]).stat().st_size
    write(keeper, "new", "grace")
    assert keeper.restore(made["file"], made["sha256"]) == {"schema": "old"}
    assert users(keeper.DATABASE) == ["ada"]
    assert users(keeper.REPLACED) == ["ada", "grace"]


def test_a_copy_is_whole_while_somebody_writes(keeper: Any) -> None:
    write(keeper, "old", "ada")
    with closing(sqlite3.connect(keeper.DATABASE)) as other:
        other.execute("insert into users values ('not committed')")
        made = back_up(keeper, "release-1")
        other.rollback()
    assert users(made["file"]) == ["ada"]


def test_only_the_backups_that_are_on_record_stay(keeper: Any) -> None:
    write(keeper, "old", "ada")
    files = [
        back_up(keeper, f"release-{number}", *[f"{keeper.FOLDER}/release-1.sqlite"])["file"] for number in (1, 2, 3)
    ]
    assert [Path(file).exists() for file in files] == [True, False, True]


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_backup_that_is_not_what_was_sealed_replaces_nothing(keeper: Any, harm: str) -> None:
    write(keeper, "old", "ada")
    made = back_up(keeper, "release-1")
    write(keeper, "new", "grace")
    file = Path(made["file"])
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(SystemExit, match=r"checksum|there is no"):
        keeper.restore(made["file"], made["sha256"])
    assert users(keeper.DATABASE) == ["ada", "grace"]
    assert keeper.look() == {"schema": "new"}


def test_the_journal_of_the_replaced_database_is_not_applied_to_the_one_that_came_back(keeper: Any) -> None:
    write(keeper, "old", "ada")
    made = back_up(keeper, "release-1")
    for rest in ("-journal", "-wal", "-shm"):
        Path(keeper.DATABASE + rest).write_bytes(b"of another database")
    keeper.restore(made["file"], made["sha256"])
    assert users(keeper.DATABASE) == ["ada"]
    assert not list(Path(keeper.DATABASE).parent.glob("jupyterhub.sqlite-*"))
