"""What Harbor remembers: rows in named tables, kept in one file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployments.sandbox.paths import PRIVATE_FILE, write_if_changed

Row = dict[str, Any]


class Store:
    """Tables of one Harbor. Without a file, everything ends with the process."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        seen = json.loads(file.read_text()) if file and file.exists() else {}
        self._last: dict[str, int] = seen.get("last", {})
        self._tables: dict[str, list[Row]] = seen.get("tables", {})

    def add(self, table: str, **fields: Any) -> Row:
        """A new row with the next id of its table, which is never used again."""
        self._last[table] = self._last.get(table, 0) + 1
        row = {"id": self._last[table], **fields}
        self._tables.setdefault(table, []).append(row)
        return row

    def rows(self, table: str, **where: Any) -> list[Row]:
        """The rows that have all of these values, oldest first."""
        return [
            row for row in self._tables.get(table, ()) if all(row.get(key) == wanted for key, wanted in where.items())
        ]

    def one(self, table: str, **where: Any) -> Row | None:
        """The first of them, if there is any."""
        return next(iter(self.rows(table, **where)), None)

    def remove(self, table: str, **where: Any) -> None:
        """No row has all of these values."""
        gone = {row["id"] for row in self.rows(table, **where)}
        self._tables[table] = [row for row in self._tables.get(table, ()) if row["id"] not in gone]

    def save(self) -> None:
        """The file holds what the tables hold."""
        if self._file:
            document = {"last": self._last, "tables": self._tables}
            write_if_changed(self._file, json.dumps(document, indent=1) + "\n", PRIVATE_FILE)


def now() -> str:
    """The time as Harbor writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(moment: str) -> int:
    """The same moment in seconds since 1970."""
    return int(datetime.fromisoformat(moment).timestamp())
