"""What the hub's pages tell users before the proxy restarts: the values for it, and the words. Pure."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from tasks.core.names import NOTICE_CONFIG, NOTICE_KEY
from tasks.core.objects import CONFIG_MAP, WantedObject
from tasks.release.snippets import read_snippet

Values = dict[str, Any]

FOLDER = PurePosixPath("/usr/local/etc/hubwright/notice")
WORDS = (
    "At {end} this hub's proxy restarts. Your notebooks go on; their connections are closed for some seconds,"
    " and open again by themselves."
)


def notice_values() -> Values:
    """The hub's part: its pages show what is in the ConfigMap, until the time that it names."""
    return {
        "extraVolumes": [{"name": "notice", "configMap": {"name": NOTICE_CONFIG, "optional": True}}],
        "extraVolumeMounts": [{"name": "notice", "mountPath": str(FOLDER), "readOnly": True}],
        "extraConfig": {"hubwright-notice": read_snippet("notice")},
    }


def wanted_notice(namespace: str, end: datetime) -> WantedObject:
    """The ConfigMap that announces a restart of the proxy at a time, and says nothing after it."""
    text = f"{end.isoformat(timespec='seconds')}\n{WORDS.format(end=end.strftime('%H:%M:%S %Z'))}\n"
    return WantedObject(CONFIG_MAP, NOTICE_CONFIG, namespace, {"data": {NOTICE_KEY: text}})
