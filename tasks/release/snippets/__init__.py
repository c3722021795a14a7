"""What the hub runs of ours when it starts: each file is read as text, and given to the chart as hub.extraConfig.

They run inside the hub (Python 3.9 or newer, JupyterHub 5.5, KubeSpawner 7.1, OAuthenticator 17.4), with ``c`` and
``get_config`` in scope, one after the other by their names: spawner.py has what provider.py registers. What they need
to know stands in the chart's values under ``custom.hubwright``.
"""

from __future__ import annotations

from importlib.resources import files


def read_snippet(name: str) -> str:
    """The text of a snippet."""
    return files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
