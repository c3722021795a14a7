"""Settings of the machine's kernel that the kubelet changes, and that the sandbox puts back when it goes."""

from __future__ import annotations

import json
from pathlib import Path

from deployments.sandbox.paths import Paths, write_if_changed

SYSCTL = Path("/proc/sys")
CHANGED_BY_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""It sets them when it starts (setupKernelTunables), and can only be told to fail instead."""


def remember_settings(paths: Paths, sysctl: Path = SYSCTL) -> None:
    """The settings as they were before the sandbox are written down, once."""
    if not paths.kernel_settings.exists():
        values = {name: (sysctl / name).read_text() for name in CHANGED_BY_KUBELET if (sysctl / name).exists()}
        write_if_changed(paths.kernel_settings, json.dumps(values))


def restore_settings(paths: Paths, sysctl: Path = SYSCTL) -> None:
    """The settings are as they were written down; where nothing was, they stay."""
    if paths.kernel_settings.exists():
        for name, value in json.loads(paths.kernel_settings.read_text()).items():
            (sysctl / name).write_text(value)
