"""Reads, copies and brings back the hub's database (SQLite), in a container that has its volume.

``look``; ``back-up FILE KEPT...`` (other backups than the kept ones are removed); ``restore FILE SHA256``.
Answers one line of JSON. Nothing takes the database's place before it is whole and on the disk.
"""

import hashlib
import json
import os
import sqlite3
import sys
from contextlib import closing

DATABASE = "/srv/jupyterhub/jupyterhub.sqlite"
FOLDER = "/srv/jupyterhub/hubwright"
REPLACED = f"{FOLDER}/replaced.sqlite"
BUSY_SECONDS = 30
PART_BYTES = 1 << 20


def open_database(path):
    return closing(sqlite3.connect(path, timeout=BUSY_SECONDS))


def read_schema(path):
    """Alembic's revision of the tables; "" where there are none."""
    if not os.path.exists(path):
        return ""
    with open_database(path) as database:
        found = database.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone()
        row = found and database.execute("select version_num from alembic_version").fetchone()
    return row[0] if row else ""


def digest_of(path):
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(PART_BYTES):
            whole.update(part)
    return whole.hexdigest()


def sync(path):
    """What was written is on the disk, for a file or for a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy(source, target):
    """A whole copy, consistent also while the hub writes (SQLite's own backup API)."""
    if os.path.exists(target):
        os.remove(target)
    with open_database(source) as old, open_database(target) as new:
        old.backup(new)
        said = new.execute("pragma integrity_check").fetchone()[0]
    if said != "ok":
        sys.exit(f"the copy of {source} is damaged: {said}")
    sync(target)


def back_up(file, *kept):
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    for name in os.listdir(FOLDER):
        path = f"{FOLDER}/{name}"
        if name.startswith("release-") and path not in (file, *kept):
            os.remove(path)
    copy(DATABASE, f"{file}.part")
    os.replace(f"{file}.part", file)
    sync(FOLDER)
    return {"file": file, "sha256": digest_of(file), "bytes": os.path.getsize(file), "schema": read_schema(file)}


def restore(file, sha256):
    if not os.path.exists(file):
        sys.exit(f"there is no {file}")
    if digest_of(file) != sha256:
        sys.exit(f"{file} is not what was sealed: its checksum is another one")
    copy(file, f"{DATABASE}.part")
    if os.path.exists(DATABASE):
        if os.path.exists(REPLACED):
            os.remove(REPLACED)
        os.link(DATABASE, REPLACED)  # the one that is replaced stays, so there is always a whole one in its place
    os.replace(f"{DATABASE}.part", DATABASE)
    for rest in ("-journal", "-wal", "-shm"):
        if os.path.exists(DATABASE + rest):
            os.remove(DATABASE + rest)
    sync(os.path.dirname(DATABASE))
    return look()


def look():
    return {"schema": read_schema(DATABASE)}


if __name__ == "__main__":
    action, arguments = sys.argv[1], sys.argv[2:]
    try:
        print(json.dumps({"look": look, "back-up": back_up, "restore": restore}[action](*arguments)))
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"{type(error).__name__}: {error}")
