# What each user may choose when a server starts: the most that any of their roles allows.
from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.scopes import needs_scope
from kubespawner import KubeSpawner
from tornado import web

offers = get_config("custom.hubwright.roles")
images = get_config("custom.hubwright.images")
gpu_resource = get_config("custom.hubwright.gpuResource")
longest_idle = max(offer["idleSeconds"] for offer in offers.values())
usual_image = "usual_image"  # the key of no other image: those have no underscore


def best_of(user):
    """Of each thing the most that the user's roles allow. Raises 403 for somebody without a role."""
    mine = [offers[group.name] for group in user.groups if group.name in offers]
    if not mine:
        # An empty list of choices would mean the chart's defaults.
        raise web.HTTPError(403, "You have no role at this hub any more: ask its administrators for one.")
    best = {key: max(offer[key] for offer in mine) for key in mine[0] if key != "images"}
    best["images"] = sorted({image for offer in mine for image in offer["images"]})
    return best


def override_for(best):
    """The spawner's settings for what somebody may have."""
    override = {
        "cpu_limit": best["cpuLimit"],
        "cpu_guarantee": best["cpuGuarantee"],
        "mem_limit": best["memoryLimit"],
        "mem_guarantee": best["memoryGuarantee"],
        "storage_capacity": best["home"][1],
    }
    if best["idleSeconds"] < longest_idle:
        # The hub's culler has one time for everybody, the longest; a shorter one the server keeps itself.
        # Helm writes large whole numbers as 1.2096e+06, which YAML reads as a fraction.
        idle = int(best["idleSeconds"])
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
    usual = {usual_image: {"display_name": "The hub's own", "default": True, "kubespawner_override": {}}}
    return {"profile_options": {"image": {"display_name": "Image", "choices": {**usual, **choices}}}}


def profiles_of(user):
    """KubeSpawner's profiles for a user: one without a GPU, and one for each number of GPUs."""
    best = best_of(user)
    size = f"{best['cpuLimit']:g} CPU, {best['memoryLimit'] / 2**30:.3g} GiB of memory"
    common = {"kubespawner_override": override_for(best), **image_choices(best)}
    standard = {"display_name": "Standard", "slug": "standard", "description": size, "default": True, **common}
    return [standard, *(with_gpus(standard, count) for count in range(1, int(best["gpus"]) + 1))]


def with_gpus(standard, count):
    """The same with GPUs. KubeSpawner sets them as request and as limit, as Kubernetes wants it."""
    name = "GPU" if count == 1 else f"{count} GPUs"
    override = {**standard["kubespawner_override"], "extra_resource_limits": {gpu_resource: str(count)}}
    about = {"display_name": name, "slug": name.lower().replace(" ", "-"), "default": False}
    return {**standard, **about, "description": f"{standard['description']}, {name}", "kubespawner_override": override}


def refuse_what_is_not_offered(user, options):
    """Raises 400 for what is no choice at all, 403 for one that the user's roles do not offer.

    KubeSpawner takes nothing else from what was posted.
    """
    if not isinstance(options, dict):
        raise web.HTTPError(400, "The options of a server are a mapping.")
    slug = options.get("profile") or "standard"
    chosen = [profile for profile in profiles_of(user) if profile["slug"] == slug]
    offered = [key for one in chosen for option in one.get("profile_options", {}).values() for key in option["choices"]]
    image = options.get("image--unlisted-choice") or options.get("image") or usual_image
    if not chosen or (offered and image not in offered):
        raise web.HTTPError(403, "Your roles do not offer this server: choose one of those that the start page shows.")


class RoleSpawner(KubeSpawner):
    """Refuses what somebody posted before the start begins: later it would count as a start that failed."""

    def _options_from_form(self, formdata):
        options = super()._options_from_form(formdata)
        refuse_what_is_not_offered(self.user, options)
        return options


class StartServer(UserServerAPIHandler):
    """Refuses the same in a request to the API, which has no form; by the roles that the provider tells now."""

    @needs_scope("servers")
    async def post(self, user_name, server_name=""):
        user, options = self.find_user(user_name), self.get_json_body()
        if user and options is not None:
            if not await self.refresh_auth(user, force=True):
                raise web.HTTPError(403, f"{user.name} has to sign in again.")
            refuse_what_is_not_offered(user, options)
        await super().post(user_name, server_name)


async def profiles_for(spawner):
    return profiles_of(spawner.user)


def apply_options(spawner, options):
    """The last word, after the roles were read anew: however the options came, also those of an earlier start."""
    refuse_what_is_not_offered(spawner.user, options)


start_handlers = [(rf"/api/users/([^/]+)/{path}", StartServer) for path in ("server", "servers/([^/]*)")]
c.JupyterHub.spawner_class = RoleSpawner
c.KubeSpawner.profile_list = profiles_for
c.KubeSpawner.apply_user_options = apply_options
