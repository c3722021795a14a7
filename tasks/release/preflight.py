"""What the chart needs of a cluster, and whether it has it: pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kubernetes.utils.quantity import parse_quantity
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from config.server import Gpu
from config.spec import Hub
from tasks.core.objects import Body
from tasks.core.problems import Problem
from tasks.release.state import ChartArchive


def chart_problems(chart: ChartArchive, cluster: str) -> tuple[Problem, ...]:
    """Whether a cluster of this version (``v1.34.4``) is one that the chart runs on (kubeVersion in its Chart.yaml)."""
    try:
        wanted, version = _specifiers(chart.kube_version), Version(re.sub(r"[-+].*", "", cluster))
    except (InvalidSpecifier, InvalidVersion):
        return ()  # Helm, which knows every way to write one, is asked when it installs
    if version in wanted:
        return ()
    remedy = "upgrade the cluster, or choose an older chart in release.chart.version"
    return (Problem(f"Kubernetes {cluster}", f"{chart.title} needs {chart.kube_version}", remedy),)


def offered_gpu(hub: Hub, nodes: Sequence[Body]) -> Gpu | None:
    """The most GPUs that one server can have: as many as the profile says when a node has them, else none.

    Where roles say how many, it is what the largest node has, if that is less: users choose their number.
    """
    wanted = hub.server.gpu
    most = max(allowance.gpus for allowance in hub.allowances.values())
    if wanted is None or not most:
        return None
    largest = max((_allocatable(node, wanted.resource) for node in nodes), default=0)
    count = min(most, largest) if hub.roles or largest >= most else 0
    return Gpu(resource=wanted.resource, count=count) if count else None


def _allocatable(node: Body, resource: str) -> int:
    return int(parse_quantity(node.get("status", {}).get("allocatable", {}).get(resource, "0")))


def _specifiers(constraint: str) -> SpecifierSet:
    """Helm's constraint in Python's way: ``>=1.28.0-0`` (the ``-0`` lets pre-releases in) is ``>=1.28.0``."""
    return SpecifierSet(",".join(re.sub(r"-0$", "", part) for part in re.split(r"[,\s]+(?=[<>=!~])", constraint)))
