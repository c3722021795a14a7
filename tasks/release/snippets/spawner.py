# What each user may choose when a server starts: the most that any of their roles allows.
from tornado import web

roles = get_config("custom.hubwright.roles")
images = get_config("custom.hubwright.images")
gpu_resource = get_config("custom.hubwright.gpuResource")
longest_idle = max(role["idleSeconds"] for role in roles.values())


def best_of(spawner):
    """Of each thing the most that the user's roles allow. Raises 403 for somebody without a role."""
    mine = [roles[group.name] for group in spawner.user.groups if group.name in roles]
    if not mine:
        # An empty list of choices would mean the chart's defaults.
        raise web.HTTPError(403, "You have no role at this hub any more: ask its administrators for one.")
    best = {key: max(role[key] for role in mine) for key in mine[0] if key != "images"}
    best["images"] = sorted({image for role in mine for image in role["images"]})
    return best


def override_for(best):
    """The spawner's settings for what somebody may have."""
    override = {
        "cpu_limit": best["cpuLimit"],
        "cpu_guarantee": best["cpuGuarantee"],
        "mem_limit": best["memoryLimit"],
        "mem_guarantee": best["memoryGuarantee"],
        "storage_capacity": str(best["homeBytes"]),
    }
    if best["idleSeconds"] < longest_idle:
        # The hub's culler has one time for everybody, the longest; a shorter one the server keeps itself.
        idle = best["idleSeconds"]
        override["args"] = [
            f"--ServerApp.shutdown_no_activity_timeout={idle}",
            f"--MappingKernelManager.cull_idle_timeout={idle}",
            "--MappingKernelManager.cull_connected=True",
            f"--TerminalManager.cull_inactive_timeout={idle}",
        ]
    return override


def image_choices(best):
    """A choice of images, for those who have one."""
    if not best["images"]:
        return {}
    offered = {key: images[key] for key in best["images"]}
    choices = {
        key: {"display_name": one["title"], "kubespawner_override": {"image": one["image"]}}
        for key, one in offered.items()
    }
    usual = {"usual": {"display_name": "The hub's own", "default": True, "kubespawner_override": {}}}
    return {"profile_options": {"image": {"display_name": "Image", "choices": {**usual, **choices}}}}


async def profiles_for(spawner):
    best = best_of(spawner)
    override = override_for(best)
    size = f"{best['cpuLimit']:g} CPU, {best['memoryLimit'] / 2**30:.3g} GiB of memory"
    common = image_choices(best)
    profiles = [
        {
            "display_name": "Standard",
            "slug": "standard",
            "description": size,
            "default": True,
            "kubespawner_override": override,
            **common,
        }
    ]
    if best["gpus"]:
        limits = {"extra_resource_limits": {gpu_resource: str(best["gpus"])}}
        profiles.append(
            {
                "display_name": "GPU",
                "slug": "gpu",
                "description": f"{size}, {best['gpus']} GPU",
                "kubespawner_override": {**override, **limits},
                **common,
            }
        )
    return profiles


c.KubeSpawner.profile_list = profiles_for
