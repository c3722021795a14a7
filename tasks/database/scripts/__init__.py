"""What runs in the hub's own pod, by its Python (3.9 or newer) and with nothing but the standard library."""

from __future__ import annotations

from importlib.resources import files


def read_script(name: str) -> str:
    """The text of a script."""
    return files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
