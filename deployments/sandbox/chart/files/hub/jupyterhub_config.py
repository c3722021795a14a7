"""JupyterHub as the chart's values describe it: the hub, its users' servers, its services, and what others add.

JupyterHub runs this file with ``get_config`` in scope, which returns the configuration to be filled. The order
matters: later parts see and may replace what earlier parts set, and hub.extraConfig has the last word.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

c: Any = get_config()  # noqa: F821  # pyright: ignore[reportUnboundVariable]

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tornado.httpclient import AsyncHTTPClient  # noqa: E402  # pyright: ignore[reportMissingImports]
from z2jh import (  # noqa: E402
    get_config,
    get_name,
    get_name_env,
    get_secret_value,
    set_config_if_not_none,
)

Given = dict[str, Any]
"""A part of the values, or of a Kubernetes object made from it."""

HUB_PORT = 8081
NODE_PURPOSE = "hub.jupyter.org/node-purpose"
CONFIG_FOLDER = Path("/usr/local/etc/jupyterhub/jupyterhub_config.d")
SQLITE_URLS = {"sqlite-pvc": "sqlite:///jupyterhub.sqlite", "sqlite-memory": "sqlite://"}
DATABASE_PASSWORD_ENV = {"mysql": "MYSQL_PWD", "postgres": "PGPASSWORD"}

# Trait of JupyterHub: where its value is, below hub.
HUB_TRAITS = {
    "concurrent_spawn_limit": "concurrentSpawnLimit",
    "active_server_limit": "activeServerLimit",
    "base_url": "baseUrl",
    "allow_named_servers": "allowNamedServers",
    "named_server_limit_per_user": "namedServerLimitPerUser",
    "authenticate_prometheus": "authenticatePrometheus",
    "redirect_to_server": "redirectToServer",
    "shutdown_on_logout": "shutdownOnLogout",
    "template_paths": "templatePaths",
    "template_vars": "templateVars",
}
# Trait of KubeSpawner: where its value is, below singleuser.
SERVER_TRAITS = {
    "pod_name_template": "podNameTemplate",
    "start_timeout": "startTimeout",
    "image_pull_policy": "image.pullPolicy",
    "events_enabled": "events",
    "extra_labels": "extraLabels",
    "extra_annotations": "extraAnnotations",
    "uid": "uid",
    "fs_gid": "fsGid",
    "service_account": "serviceAccountName",
    "storage_extra_labels": "storage.extraLabels",
    "node_selector": "nodeSelector",
    "node_affinity_required": "extraNodeAffinity.required",
    "node_affinity_preferred": "extraNodeAffinity.preferred",
    "pod_affinity_required": "extraPodAffinity.required",
    "pod_affinity_preferred": "extraPodAffinity.preferred",
    "pod_anti_affinity_required": "extraPodAntiAffinity.required",
    "pod_anti_affinity_preferred": "extraPodAntiAffinity.preferred",
    "lifecycle_hooks": "lifecycleHooks",
    "init_containers": "initContainers",
    "extra_containers": "extraContainers",
    "mem_limit": "memory.limit",
    "mem_guarantee": "memory.guarantee",
    "cpu_limit": "cpu.limit",
    "cpu_guarantee": "cpu.guarantee",
    "extra_resource_limits": "extraResource.limits",
    "extra_resource_guarantees": "extraResource.guarantees",
    "environment": "extraEnv",
    "profile_list": "profileList",
    "extra_pod_config": "extraPodConfig",
}
# What hub.config may state but the Secret decides, so that a value made by the chart is used as well.
FROM_THE_SECRET = {
    "JupyterHub": {"proxy_auth_token", "cookie_secret", "services"},
    "ConfigurableHTTPProxy": {"auth_token"},
    "CryptKeeper": {"keys"},
}


def configure_hub() -> None:
    """The hub listens on its Service's port, and finds the proxy that runs in a pod of its own."""
    if importlib.util.find_spec("pycurl"):
        # Tornado's own client gets slow where the proxy has many routes to be told about.
        AsyncHTTPClient.configure("tornado.curl_httpclient.CurlAsyncHTTPClient")
    for trait, key in HUB_TRAITS.items():
        set_config_if_not_none(c.JupyterHub, trait, f"hub.{key}")
    c.JupyterHub.hub_bind_url = f"http://:{HUB_PORT}"
    c.JupyterHub.hub_connect_url = service_url("hub")
    c.ConfigurableHTTPProxy.api_url = service_url("proxy-api")
    c.ConfigurableHTTPProxy.should_start = False
    c.JupyterHub.cleanup_servers = False  # users keep working while the hub restarts
    c.JupyterHub.last_activity_interval = 60  # also how often the routes in the proxy are checked
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
    c.JupyterHub.cookie_secret = get_secret_value("hub.config.JupyterHub.cookie_secret")
    c.CryptKeeper.keys = get_secret_value("hub.config.CryptKeeper.keys").split(";")


def service_url(name: str) -> str:
    return f"http://{get_name(name)}:{get_name_env(name, '_SERVICE_PORT')}"


def configure_database() -> None:
    kind = get_config("hub.db.type")
    url = SQLITE_URLS.get(kind) or get_config("hub.db.url")
    if url:
        c.JupyterHub.db_url = url
    password = get_secret_value("hub.db.password", None)
    if password and kind in DATABASE_PASSWORD_ENV:
        os.environ[DATABASE_PASSWORD_ENV[kind]] = password


def configure_servers() -> None:
    """KubeSpawner makes a pod for each server, in the hub's own namespace."""
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    c.KubeSpawner.namespace = os.environ.get("POD_NAMESPACE", "default")
    c.KubeSpawner.common_labels = server_labels()
    set_config_if_not_none(c.Spawner, "consecutive_failure_limit", "hub.consecutiveFailureLimit")
    for trait, key in SERVER_TRAITS.items():
        set_config_if_not_none(c.KubeSpawner, trait, f"singleuser.{key}")
    set_config_if_not_none(c.Spawner, "default_url", "singleuser.defaultUrl")
    # For these two, null is a choice of its own: the image's command, and nothing said about privileges.
    c.Spawner.cmd = get_config("singleuser.cmd")
    c.KubeSpawner.allow_privilege_escalation = get_config("singleuser.allowPrivilegeEscalation")
    image = get_config("singleuser.image")
    c.KubeSpawner.image = ":".join(part for part in (image["name"], image.get("tag")) if part)
    place_servers()
    give_pull_secrets()
    give_volumes()
    block_cloud_metadata()


def server_labels() -> dict[str, str]:
    """What the chart's labels are on its own objects, for pods and volumes that KubeSpawner makes."""
    name, release = get_config("Chart.Name"), get_config("Release.Name")
    chart = f"{name}-{get_config('Chart.Version')}".replace("+", "_")
    return {
        "app": name,
        "app.kubernetes.io/name": name,
        "release": release,
        "app.kubernetes.io/instance": release,
        "chart": chart,
        "helm.sh/chart": chart,
        "app.kubernetes.io/managed-by": "kubespawner",
    }


def place_servers() -> None:
    """Tolerations and affinities that all user pods have, beside those of this hub's values."""
    pods = get_config("scheduling.userPods")
    c.KubeSpawner.tolerations = [*pods["tolerations"], *(get_config("singleuser.extraTolerations") or [])]
    term = {"matchExpressions": [{"key": NODE_PURPOSE, "operator": "In", "values": ["user"]}]}
    given = get_config("singleuser.extraNodeAffinity", {})
    match pods["nodeAffinity"]["matchNodePurpose"]:
        case "prefer":
            preferred = {"weight": 100, "preference": term}
            c.KubeSpawner.node_affinity_preferred = [*given.get("preferred", []), preferred]
        case "require":
            c.KubeSpawner.node_affinity_required = [*given.get("required", []), term]
        case _:
            pass


def give_pull_secrets() -> None:
    made = get_config("imagePullSecret.create") and get_config("imagePullSecret.automaticReferenceInjection")
    secrets = [get_name("image-pull-secret")] if made else []
    secrets += (get_config("imagePullSecrets") or []) + (get_config("singleuser.image.pullSecrets") or [])
    if secrets:
        c.KubeSpawner.image_pull_secrets = secrets


def give_volumes() -> None:
    """Home, extra files and extra volumes. KubeSpawner's volumes are a dict, so that a profile can replace one."""
    storage = get_config("singleuser.storage")
    volumes, mounts = home(storage)
    files = get_config("singleuser.extraFiles", {})
    if files:
        items = [{"key": key, "path": key} | mode_of(file) for key, file in files.items()]
        volumes["files"] = {"name": "files", "secret": {"secretName": get_name("singleuser"), "items": items}}
    for index, (key, file) in enumerate(files.items()):
        mounts[f"{index}-files"] = {"name": "files", "mountPath": file["mountPath"], "subPath": key}
    volumes |= by_name(storage.get("extraVolumes"))
    mounts |= by_number_and_name(storage.get("extraVolumeMounts"))
    c.KubeSpawner.volumes = volumes
    c.KubeSpawner.volume_mounts = mounts


def home(storage: Given) -> tuple[Given, Given]:
    """Volume and mount of the home directory, as dicts; both empty when homes are not kept."""
    if storage["type"] == "none":
        return {}, {}
    if storage["type"] == "static":
        name, claim, sub_path = "home", storage["static"]["pvcName"], storage["static"]["subPath"]
    else:
        dynamic = storage["dynamic"]
        name, claim, sub_path = dynamic["volumeNameTemplate"], "{pvc_name}", dynamic.get("subPath")
        claim_per_server()
    volume = {"name": name, "persistentVolumeClaim": {"claimName": claim}}
    return {name: volume}, {name: {"name": name, "mountPath": storage["homeMountPath"], "subPath": sub_path}}


def claim_per_server() -> None:
    c.KubeSpawner.storage_pvc_ensure = True
    dynamic = "singleuser.storage.dynamic"
    set_config_if_not_none(c.KubeSpawner, "pvc_name_template", f"{dynamic}.pvcNameTemplate")
    set_config_if_not_none(c.KubeSpawner, "storage_class", f"{dynamic}.storageClass")
    set_config_if_not_none(c.KubeSpawner, "storage_access_modes", f"{dynamic}.storageAccessModes")
    set_config_if_not_none(c.KubeSpawner, "storage_capacity", "singleuser.storage.capacity")


def mode_of(file: Given) -> Given:
    return {"mode": int(file["mode"])} if "mode" in file else {}


def by_name(volumes: list[Given] | Given | None) -> Given:
    """A list as a dict; a dict as it is; null as an empty dict."""
    return {volume["name"]: volume for volume in volumes} if isinstance(volumes, list) else volumes or {}


def by_number_and_name(mounts: list[Given] | Given | None) -> Given:
    """The same for mounts, whose names are their volumes' and may come twice."""
    if isinstance(mounts, list):
        return {f"{number}-{mount['name']}": mount for number, mount in enumerate(mounts)}
    return mounts or {}


def block_cloud_metadata() -> None:
    """No server reaches the cloud's metadata address, where it could learn the node's credentials."""
    metadata = get_config("singleuser.cloudMetadata")
    if not metadata["blockWithIptables"]:
        return
    tools = get_config("singleuser.networkTools")
    rule = f"--append OUTPUT --protocol tcp --destination {metadata['ip']} --destination-port 80 --jump DROP"
    container = {
        "name": "block-cloud-metadata",
        "image": f"{tools['image']['name']}:{tools['image']['tag']}",
        "command": ["iptables", *rule.split()],
        "securityContext": {"privileged": True, "runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}},
        "resources": tools["resources"],
    }
    c.KubeSpawner.init_containers = [*(get_config("singleuser.initContainers") or []), container]


def configure_services() -> None:
    """Services and roles: the idle culler's, then those of the values, a name being the key unless it is stated."""
    c.JupyterHub.services = []
    c.JupyterHub.load_roles = []
    if get_config("cull.enabled"):
        cull_idle_servers()
    for name, service in get_config("hub.services", {}).items():
        given = {key: value for key, value in service.items() if key != "apiToken"}
        token = get_secret_value(f"hub.services.{name}.apiToken")
        c.JupyterHub.services.append({"name": name} | given | {"api_token": token})
    for name, role in get_config("hub.loadRoles", {}).items():
        c.JupyterHub.load_roles.append({"name": name} | role)


def cull_idle_servers() -> None:
    name = "jupyterhub-idle-culler"
    cull = get_config("cull")
    api = f"http://localhost:{HUB_PORT}{get_config('hub.baseUrl').rstrip('/')}/hub/api"
    numbers = {"timeout": "timeout", "cull-every": "every", "concurrency": "concurrency", "max-age": "maxAge"}
    command = [sys.executable, "-m", "jupyterhub_idle_culler", f"--url={api}"]
    command += [f"--{option}={int(cull[key])}" for option, key in numbers.items() if cull.get(key)]
    command += ["--cull-users"] if cull.get("users") else []
    command += [] if cull.get("adminUsers") else ["--cull-admin-users=false"]
    command += ["--remove-named-servers"] if cull.get("removeNamedServers") else []
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    scopes += ["admin:users"] if cull.get("users") else []
    c.JupyterHub.services.append({"name": name, "command": command})
    c.JupyterHub.load_roles.append({"name": name, "scopes": scopes, "services": [name]})


def apply_hub_config() -> None:
    """Sections of hub.config are classes; a section in lower case is a mistake that would have no effect."""
    for section, traits in get_config("hub.config", {}).items():
        if not section[:1].isupper():
            sys.exit(f"hub.config.{section} is no class of JupyterHub: did you mean hub.{section}?")
        ours = FROM_THE_SECRET.get(section, set())
        c[section].update({trait: value for trait, value in traits.items() if trait not in ours})


configure_hub()
configure_database()
configure_servers()
configure_services()
if get_config("debug.enabled"):
    c.JupyterHub.log_level = "DEBUG"
    c.Spawner.debug = True
apply_hub_config()

# To run what an administrator wrote is the point here. It runs in this module's scope, for it counts on c, get_config
# and the like.
for path in sorted(CONFIG_FOLDER.glob("*.py")):
    print(f"Running {path}")
    exec(compile(path.read_text(), str(path), "exec", dont_inherit=True))  # noqa: S102
for key, snippet in sorted(get_config("hub.extraConfig", {}).items()):
    print(f"Running hub.extraConfig.{key}")
    exec(compile(snippet, f"hub.extraConfig.{key}", "exec", dont_inherit=True))  # noqa: S102
