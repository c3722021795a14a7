"""What users may choose for a server, as values of the chart: pure."""

from __future__ import annotations

from typing import Any

from kubernetes.utils.quantity import parse_quantity

from config.images import PinnedImages
from config.server import Gpu, Server
from config.spec import Allowance, Hub
from tasks.release.snippets import read_snippet

Values = dict[str, Any]


def role_offers(hub: Hub, images: PinnedImages, gpu: Gpu | None) -> Values:
    """What each role allows, for the snippet that runs in the hub. ``gpu`` is the most that one server can have now."""
    return {
        "roles": {name: _offer(allowance, gpu) for name, allowance in hub.allowances.items()},
        "images": {
            key: {"title": hub.images[key].title, "image": str(image)} for key, image in sorted(images.offered.items())
        },
        "gpuResource": gpu.resource if gpu else "",
    }


def offers_config() -> dict[str, str]:
    """The hub offers each user what their roles allow."""
    return {"hubwright-spawner": read_snippet("spawner")}


def choices(server: Server, gpu: Gpu | None) -> Values:
    """What everybody may choose where there are no roles; without GPUs there is no choice, and no page that asks."""
    if gpu is None:
        return {}
    size = f"{server.cpu.limit} CPU, {server.memory.limit} of memory"
    standard: Values = {"display_name": "Standard", "slug": "standard", "description": size, "default": True}
    # KubeSpawner 7.1 sets it as request and as limit, as Kubernetes wants it for extended resources.
    override = {"extra_resource_limits": {gpu.resource: str(gpu.count)}}
    with_gpu: Values = {
        "display_name": "GPU",
        "slug": "gpu",
        "description": f"{size}, {gpu.count} GPU",
        "kubespawner_override": override,
    }
    return {"profileList": [standard, with_gpu]}


def _offer(allowance: Allowance, gpu: Gpu | None) -> Values:
    return {
        "cpuLimit": float(parse_quantity(allowance.cpu.limit)),
        "cpuGuarantee": float(parse_quantity(allowance.cpu.guarantee)),
        # In bytes: KubeSpawner reads "1G" as 1024³ bytes, Kubernetes as 1000³.
        "memoryLimit": int(parse_quantity(allowance.memory.limit)),
        "memoryGuarantee": int(parse_quantity(allowance.memory.guarantee)),
        # The bytes to compare, the text for people who look at the volume.
        "home": [int(parse_quantity(allowance.home)), allowance.home],
        "idleSeconds": int(allowance.idle_timeout.total_seconds()),
        "gpus": min(allowance.gpus, gpu.count) if gpu else 0,
        "images": list(allowance.images),
    }
