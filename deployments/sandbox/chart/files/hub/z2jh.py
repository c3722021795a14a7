"""What Helm was told, for the hub's configuration and for the snippets of hub.extraConfig.

The names are those that the published chart offers, so that a snippet works with either. Beside this file, the
Deployment mounts the Secret ``hub`` as ``secret/`` and the ConfigMap ``hub`` as ``config/``.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

MOUNTS = Path(__file__).parent


@cache
def _values() -> dict[str, Any]:
    return yaml.safe_load((MOUNTS / "secret" / "values.yaml").read_text())


def get_config(key: str, default: Any = None) -> Any:
    """The value at a dotted path; ``default`` where the path ends early. A null that is stated stays None."""
    found: Any = _values()
    for name in key.split("."):
        if not isinstance(found, dict) or name not in found:
            return default
        found = found[name]
    return found


def set_config_if_not_none(cparent: Any, name: str, key: str) -> None:
    """The trait ``name`` holds the value at ``key``, or is left as it was when that is null or absent."""
    value = get_config(key)
    if value is not None:
        setattr(cparent, name, value)


_REQUIRED = object()


def get_secret_value(key: str, default: Any = _REQUIRED) -> Any:
    """Text of a key of the Secret ``hub``. Raises KeyError when it is absent and no default was given."""
    path = MOUNTS / "secret" / key
    if path.exists():
        return path.read_text()
    if default is _REQUIRED:
        raise KeyError(f"the Secret hub has no {key}: look at the chart's values for it, then upgrade the release")
    return default


def get_name(name: str) -> str:
    """Name in the cluster of one of the chart's objects, such as ``proxy-api``. Raises FileNotFoundError."""
    return (MOUNTS / "config" / name).read_text()


def get_name_env(name: str, suffix: str = "") -> str:
    """A variable that Kubernetes sets for a Service, ``suffix`` being such as ``_SERVICE_PORT``. Raises KeyError."""
    return os.environ[f"{get_name(name)}{suffix}".upper().replace("-", "_")]
