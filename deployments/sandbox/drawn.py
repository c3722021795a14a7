"""Secrets of the sandbox that are drawn at random, once, for what it runs and for who uses it."""

from __future__ import annotations

import secrets

from deployments.sandbox.paths import PRIVATE_FILE, PRIVATE_FOLDER, Paths

SECRET_BYTES = 18


def ensure_secrets(paths: Paths) -> None:
    """Each file of ``paths.drawn`` holds a secret that only root can read; those that were there are untouched."""
    for file in paths.drawn:
        if file.exists():
            continue
        file.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}.new")
        fresh.touch(PRIVATE_FILE)
        fresh.write_text(secrets.token_urlsafe(SECRET_BYTES) + "\n")
        fresh.replace(file)
