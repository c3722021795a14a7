"""The chart's values for a hub: pure, and without a secret in them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from kubernetes.utils.quantity import parse_quantity
from pydantic import SecretStr

from config.identity import PasswordIdentity
from config.images import PinnedImage, PinnedImages
from config.server import Gpu, Server
from config.spec import Hub, Monitoring, Storage
from config.types import parse_duration
from tasks.core.names import METRICS_SERVICE, PASSWORDS_SECRET, ROUTES_SERVICE

Values = dict[str, Any]
"""Values of the jupyterhub chart 4.4.0, as its values.schema.yaml defines them."""

PASSWORD_ENV = "HUBWRIGHT_PASSWORD"
ADMIN_PASSWORD_ENV = "HUBWRIGHT_ADMIN_PASSWORD"
AUTHENTICATOR_TRAITS = {
    # Traits of JupyterHub 5.5 (jupyterhub.auth, jupyterhub.authenticators.shared) and where each is read from.
    "dummy": {"DummyAuthenticator.password": PASSWORD_ENV},
    "shared-password": {
        "SharedPasswordAuthenticator.user_password": PASSWORD_ENV,
        "SharedPasswordAuthenticator.admin_password": ADMIN_PASSWORD_ENV,
    },
}
FINGERPRINT_ANNOTATION = "hubwright.io/password-fingerprint"
ROUTES_SECONDS = 5
SERVICE_SCOPES = {ROUTES_SERVICE: "proxy", METRICS_SERVICE: "read:metrics"}
"""The hub's services, and what each may do (scopes of JupyterHub 5)."""
KEEP = {"helm.sh/resource-policy": "keep"}


def fingerprint(passwords: list[SecretStr], salt: str) -> str:
    """Changes with the passwords and does not tell them: scrypt, slow on purpose, since people choose them."""
    text = "\0".join(password.get_secret_value() for password in passwords).encode()
    return hashlib.scrypt(text, salt=salt.encode(), n=2**14, r=8, p=1, dklen=16).hex()


def values_hash(values: Values) -> str:
    """Digest of the values, the same for the same values however they are ordered."""
    return "sha256:" + hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def values_for(hub: Hub, images: PinnedImages, password_fingerprint: str, gpu: Gpu | None) -> Values:
    """The values that make the chart the hub of the spec. Every one that departs from the chart has its reason.

    ``gpu`` is what users may choose: the spec's, when the cluster has any.
    """
    return {
        "hub": _hub(hub, images, password_fingerprint),
        # The Role comes from the cluster phase, so that Helm needs no right to hand out rights.
        "rbac": {"create": False},
        "proxy": _proxy(hub, images),
        "singleuser": _singleuser(hub, images.notebook) | _choices(hub.server, gpu),
        "ingress": _ingress(hub),
        "cull": {"enabled": True, "timeout": int(parse_duration(hub.server.idle_timeout).total_seconds())},
        # These would need rights in the whole cluster, and images that a closed network does not have.
        "scheduling": {"userScheduler": {"enabled": False}, "userPlaceholder": {"enabled": False}},
        "prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}},
    }


def _hub(hub: Hub, images: PinnedImages, password_fingerprint: str) -> Values:
    database = hub.storage.database
    values: Values = {
        "config": {
            "JupyterHub": {
                "authenticator_class": hub.identity.kind,
                "admin_access": False,
                # How often the hub looks whether the proxy still has its routes; the chart's minute is how long
                # every running server is out of reach when the proxy's pod moved and no deploy put them back.
                "last_activity_interval": ROUTES_SECONDS,
            },
            # Since JupyterHub 5 nobody may enter unless allowed; whoever knows the password may.
            "Authenticator": {"allow_all": True, "admin_users": list(hub.identity.admins)},
        },
        "serviceAccount": {"create": False, "name": hub.cluster.service_account},
        # The default of 5 lets the hub exit after five failed starts in a row, which any user can bring about.
        "consecutiveFailureLimit": 0,
        "db": {
            "type": "sqlite-pvc",
            # Helm deletes the volume with the release unless it is marked.
            "pvc": {
                "annotations": KEEP,
                "storage": database.size,
                **_class("storageClassName", database.storage_class),
            },
        },
        "extraEnv": _password_env(hub.identity),
        "extraConfig": {"hubwright-passwords": _password_config(hub.identity)},
        # The hub reads the passwords when it starts, so it has to start anew when they change.
        "annotations": {FINGERPRINT_ANNOTATION: password_fingerprint},
        # Services in JupyterHub's sense, with tokens of the chart's Secret, each for one thing only.
        "services": {name: {} for name in SERVICE_SCOPES},
        "loadRoles": {name: {"services": [name], "scopes": [scope]} for name, scope in SERVICE_SCOPES.items()},
        "networkPolicy": _network_policy(hub.monitoring),
    }
    return values | ({"image": _image(images.hub)} if images.hub else {})


def _network_policy(monitoring: Monitoring | None) -> Values:
    """The chart lets nobody but the hub's own pods in; Prometheus comes from elsewhere."""
    if monitoring is None:
        return {}
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": monitoring.namespace}}}
    return {"ingress": [{"from": [namespace], "ports": [{"port": "http", "protocol": "TCP"}]}]}


def _proxy(hub: Hub, images: PinnedImages) -> Values:
    port = hub.release.node_port
    service: Values = {"type": "NodePort", "nodePorts": {"http": port}} if port else {"type": "ClusterIP"}
    return {"service": service} | ({"chp": {"image": _image(images.proxy)}} if images.proxy else {})


def _singleuser(hub: Hub, image: PinnedImage) -> Values:
    server = hub.server
    return {
        "image": _image(image),
        "cpu": {key: float(parse_quantity(value)) for key, value in server.cpu.model_dump().items()},
        # In bytes: KubeSpawner reads "1G" as 1024³ bytes, Kubernetes as 1000³.
        "memory": {key: int(parse_quantity(value)) for key, value in server.memory.model_dump().items()},
        "storage": _storage(hub.storage),
        "startTimeout": int(parse_duration(server.start_timeout).total_seconds()),
        # The chart's NetworkPolicy keeps servers from the cloud's metadata; this would need a privileged container.
        "cloudMetadata": {"blockWithIptables": False},
    }


def _choices(server: Server, gpu: Gpu | None) -> Values:
    """What a user may choose when starting a server; without GPUs there is no choice, and no page that asks."""
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


def _storage(storage: Storage) -> Values:
    home = storage.home
    values: Values = {
        "type": "dynamic",
        "capacity": home.size,
        "homeMountPath": home.mount,
        "dynamic": _class("storageClass", home.storage_class),
    }
    if storage.shared:
        claim = {"persistentVolumeClaim": {"claimName": storage.shared.claim}}
        values["extraVolumes"] = [{"name": "shared", **claim}]
        values["extraVolumeMounts"] = [{"name": "shared", "mountPath": storage.shared.mount}]
    return values


def _ingress(hub: Hub) -> Values:
    if hub.ingress is None:
        return {"enabled": False}
    host = hub.ingress.host
    return {
        "enabled": True,
        "ingressClassName": hub.ingress.ingress_class,
        "hosts": [host],
        "tls": [{"hosts": [host], "secretName": hub.ingress.tls_secret}],
    }


def _image(image: PinnedImage) -> Values:
    """The chart joins name and tag with a colon, so a digest is cut where its own colon is."""
    algorithm, digits = image.digest.split(":")
    return {"name": f"{image.name}@{algorithm}", "tag": digits}


def _class(key: str, storage_class: str | None) -> Values:
    return {key: storage_class} if storage_class else {}


def _password_env(identity: PasswordIdentity) -> Values:
    env = {PASSWORD_ENV: "password"} | ({ADMIN_PASSWORD_ENV: "admin_password"} if identity.admin_password else {})
    return {name: {"valueFrom": {"secretKeyRef": {"name": PASSWORDS_SECRET, "key": key}}} for name, key in env.items()}


def _password_config(identity: PasswordIdentity) -> str:
    given = {PASSWORD_ENV, ADMIN_PASSWORD_ENV} if identity.admin_password else {PASSWORD_ENV}
    traits = AUTHENTICATOR_TRAITS[identity.kind]
    lines = [f'c.{trait} = os.environ["{env}"]' for trait, env in traits.items() if env in given]
    return "\n".join(["import os", *lines, ""])
