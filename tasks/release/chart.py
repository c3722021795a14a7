"""A chart on disk: what it says of itself, and its digest."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from tasks.core.errors import Permanent


def read_about(chart: Path) -> Mapping[str, str]:
    """What the Chart.yaml of an archive or a folder says. Raises Permanent when there is none."""
    # The parser in C (ruamel.yaml.clib 0.2.15) takes no URL in [ ], as the official chart has one in sources.
    yaml = YAML(typ="safe", pure=True)
    try:
        if chart.is_dir():
            return yaml.load(chart / "Chart.yaml")
        with tarfile.open(chart) as archive:
            top = next(name for name in archive.getnames() if re.fullmatch(r"[^/]+/Chart\.yaml", name))
            return yaml.load(archive.extractfile(top))
    except (OSError, tarfile.TarError, StopIteration, YAMLError) as error:
        remedy = "give release.chart the archive or the folder of a Helm chart"
        raise Permanent("chart", f"read {chart}", f"it is no chart ({type(error).__name__})", remedy) from error


def digest_of(path: Path) -> str:
    """Digest of an archive, or of a chart's folder: of its files' names and contents, in order."""
    if path.is_file():
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    whole = hashlib.sha256()
    for file in sorted(inner for inner in path.rglob("*") if inner.is_file()):
        name = file.relative_to(path).as_posix().encode()
        whole.update(name + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return f"sha256:{whole.hexdigest()}"
