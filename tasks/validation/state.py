"""What a user's pod must look like: pure comparisons with the spec."""

from __future__ import annotations

from collections.abc import Sequence

from kubernetes.utils.quantity import parse_quantity

from config.images import PinnedImage
from config.spec import Allowance, Hub
from tasks.core.objects import Body


def not_available(deployments: Sequence[Body]) -> tuple[str, ...]:
    """Deployments that do not have all their pods ready at their newest template, each with its figures."""
    late: list[str] = []
    for deployment in deployments:
        wanted, status = deployment["spec"].get("replicas", 1), deployment.get("status", {})
        ready = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
        seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        if ready < wanted or not seen:
            late.append(f"{deployment['metadata']['name']} has {ready} of {wanted} pods available")
    return tuple(late)


def pod_differences(pod: Body, hub: Hub, allowance: Allowance, image: PinnedImage) -> tuple[str, ...]:
    """Where a user's pod is not what the spec asks for: image, limits and guarantees as allowed, volumes."""
    container = pod["spec"]["containers"][0]
    found = [] if container["image"] == str(image) else [f"image is {container['image']}, not {image}"]
    resources = container.get("resources", {})
    for name, share in (("cpu", allowance.cpu), ("memory", allowance.memory)):
        for field, wanted in (("limits", share.limit), ("requests", share.guarantee)):
            given = resources.get(field, {}).get(name, "0")
            if parse_quantity(given) != parse_quantity(wanted):
                found.append(f"{name} {field} is {given}, not {wanted}")
    return (*found, *_volume_differences(pod, hub))


def _volume_differences(pod: Body, hub: Hub) -> list[str]:
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"].get("volumes", ())
        if "persistentVolumeClaim" in volume
    }
    mounts = {mount["mountPath"]: claims.get(mount["name"]) for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    found = [] if mounts.get(hub.storage.home.mount) else [f"no volume at {hub.storage.home.mount}"]
    shared = hub.storage.shared
    if shared and mounts.get(shared.mount) != shared.claim:
        found.append(f"{shared.mount} is {mounts.get(shared.mount)}, not {shared.claim}")
    return found
