"""The chart's values for a hub: pure, and without a secret in them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from config.identity import PasswordIdentity
from config.images import PinnedImage, PinnedImages
from config.oidc import SignIn
from config.server import Gpu, Share
from config.spec import Allowance, Hub, Monitoring
from config.types import parse_duration
from tasks.core.names import METRICS_SERVICE, PULL_SECRET, ROUTES_SERVICE
from tasks.release.notice import notice_values
from tasks.release.offers import choices, offers_config, role_offers
from tasks.release.sign_in import password_values, provider_data, provider_values

Values = dict[str, Any]
"""Values of the jupyterhub chart 4.4.0, as its values.schema.yaml defines them."""

MARK_ANNOTATION = "hubwright.io/secrets-mark"
ROUTES_SECONDS = 5
SERVICE_SCOPES = {ROUTES_SERVICE: "proxy", METRICS_SERVICE: "read:metrics"}
"""The hub's services, and what each may do (scopes of JupyterHub 5)."""
KEEP = {"helm.sh/resource-policy": "keep"}


@dataclass(frozen=True)
class WantedValues:
    """What the values are worked out from.

    ``secrets_mark`` changes with the secrets that the hub reads when it starts; ``gpu`` is the most that one server
    can have now; ``sign_in`` and ``authority`` (the PEM text of ``identity.ca``) are for identity providers.
    """

    hub: Hub
    images: PinnedImages
    secrets_mark: str
    gpu: Gpu | None = None
    sign_in: SignIn | None = None
    authority: str | None = None


def values_hash(values: Values) -> str:
    """Digest of the values, the same for the same values however they are ordered."""
    return "sha256:" + hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def values_for(wanted: WantedValues) -> Values:
    """The values that make the chart the hub of the spec. Every one that departs from the chart has its reason."""
    hub, images = wanted.hub, wanted.images
    return {
        "hub": _merged(_hub(hub, images), _sign_in(wanted)),
        # The Role comes from the cluster phase, so that Helm needs no right to hand out rights.
        "rbac": {"create": False},
        "proxy": _proxy(hub, images),
        "singleuser": _singleuser(hub, images.notebook) | ({} if hub.roles else choices(hub.server, wanted.gpu)),
        "ingress": _ingress(hub),
        "cull": {"enabled": True, "timeout": int(max(one.idle_timeout for one in _allowances(hub)).total_seconds())},
        # These would need rights in the whole cluster, and images that a closed network does not have.
        "scheduling": {"userScheduler": {"enabled": False}, "userPlaceholder": {"enabled": False}},
        "prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}},
        **({"custom": {"hubwright": _custom(wanted)}} if hub.roles else {}),
    }


def _sign_in(wanted: WantedValues) -> Values:
    """How people sign in; the hub reads its secrets when it starts, so it has to start anew when they change."""
    annotations = {"annotations": {MARK_ANNOTATION: wanted.secrets_mark}}
    identity = wanted.hub.identity
    if isinstance(identity, PasswordIdentity):
        return {**password_values(identity), **annotations}
    assert wanted.sign_in, "a provider was looked at"
    values = provider_values(identity, wanted.sign_in, wanted.authority, wanted.hub)
    return _merged({**values, **annotations}, {"extraConfig": offers_config()})


def _custom(wanted: WantedValues) -> Values:
    identity = wanted.hub.identity
    assert not isinstance(identity, PasswordIdentity)
    assert wanted.sign_in
    return {
        **role_offers(wanted.hub, wanted.images, wanted.gpu),
        "signIn": provider_data(identity, wanted.sign_in, wanted.hub),
    }


def _hub(hub: Hub, images: PinnedImages) -> Values:
    database = hub.storage.database
    values: Values = {
        "config": {
            "JupyterHub": {
                "admin_access": False,
                # How often the hub looks whether the proxy still has its routes; the chart's minute is how long
                # every running server is out of reach when the proxy's pod moved and no deploy put them back.
                "last_activity_interval": ROUTES_SECONDS,
            },
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
        # Services in JupyterHub's sense, with tokens of the chart's Secret, each for one thing only.
        "services": {name: {} for name in SERVICE_SCOPES},
        "loadRoles": {name: {"services": [name], "scopes": [scope]} for name, scope in SERVICE_SCOPES.items()},
        "networkPolicy": _network_policy(hub.monitoring),
    }
    values |= {"image": _image(images.hub)} if images.hub else {}
    return _merged(values, notice_values()) if hub.release.notice else values


def _merged(one: Values, other: Values) -> Values:
    """Both, with mappings merged; nothing stands in the two of them otherwise."""
    both = {**one, **other}
    for key in one.keys() & other.keys():
        both[key] = _merged(one[key], other[key])
    return both


def _allowances(hub: Hub) -> list[Allowance]:
    return [*hub.allowances.values()]


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
    return {
        "image": _image(image) | ({"pullSecrets": [PULL_SECRET]} if hub.registry.harbor else {}),
        # The least that anybody has: it holds wherever no role's own applies.
        "cpu": _least([one.cpu for one in _allowances(hub)], float),
        # In bytes: KubeSpawner reads "1G" as 1024³ bytes, Kubernetes as 1000³.
        "memory": _least([one.memory for one in _allowances(hub)], int),
        "storage": _storage(hub),
        "startTimeout": int(parse_duration(hub.server.start_timeout).total_seconds()),
        # The chart's NetworkPolicy keeps servers from the cloud's metadata; this would need a privileged container.
        "cloudMetadata": {"blockWithIptables": False},
    }


def _least(shares: list[Share], number: type[int] | type[float]) -> Values:
    return {
        "guarantee": min(number(parse_quantity(share.guarantee)) for share in shares),
        "limit": min(number(parse_quantity(share.limit)) for share in shares),
    }


def _storage(hub: Hub) -> Values:
    storage, home = hub.storage, hub.storage.home
    values: Values = {
        "type": "dynamic",
        "capacity": min((one.home for one in _allowances(hub)), key=parse_quantity),
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
