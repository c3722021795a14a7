"""Phase cluster: namespace, service account, Role, RoleBinding, secrets and shared volume exist."""

from __future__ import annotations

import base64
import secrets

from prefect.logging import get_run_logger
from pydantic import SecretStr

from config.spec import Hub
from tasks.cluster.plan import KEYS_SECRET, HubSecrets, plan_claim, wanted_objects
from tasks.core.change import Plan
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import CLAIM, SECRET, STORAGE_CLASS, WantedObject
from tasks.core.secrets import read_secret
from tasks.core.task import hub_task

KEYS = (
    # The keys that the chart keeps in its Secret, each 32 random bytes in hexadecimal, as the chart draws them.
    "hub.config.ConfigurableHTTPProxy.auth_token",
    "hub.config.JupyterHub.cookie_secret",
    "hub.config.CryptKeeper.keys",
)


@hub_task(name="plan cluster", description="Compares the objects that the hub needs with those that are there.")
def plan_cluster(hub: Hub) -> Plan:
    """What ``ensure_cluster`` would change. Reads only."""
    kubernetes = Kubernetes.connect()
    plan = Plan()
    for wanted in wanted_objects(hub, _read_secrets(hub, kubernetes)):
        plan += _plan_one(kubernetes, wanted)
    return plan


@hub_task(name="ensure cluster", description="Makes or changes the objects that the hub needs.")
def ensure_cluster(hub: Hub) -> Plan:
    """The objects that the hub needs are as the spec says; returns what changed."""
    kubernetes = Kubernetes.connect()
    done = Plan()
    for wanted in wanted_objects(hub, _read_secrets(hub, kubernetes)):
        if not _plan_one(kubernetes, wanted).empty:
            done += kubernetes.ensure(wanted)
            get_run_logger().info("%s is as it should be", wanted.title)
    return done


def _plan_one(kubernetes: Kubernetes, wanted: WantedObject) -> Plan:
    if wanted.kind != CLAIM:
        return kubernetes.plan(wanted)
    seen = kubernetes.read(wanted.kind, wanted.name, wanted.namespace)
    storage_class = kubernetes.read(STORAGE_CLASS, wanted.fields["spec"]["storageClassName"], None) or {}
    return plan_claim(wanted, seen, growable=bool(storage_class.get("allowVolumeExpansion")))


def _read_secrets(hub: Hub, kubernetes: Kubernetes) -> HubSecrets:
    """The passwords from where the profile says, and the keys that were drawn once, or new ones."""
    passwords = {"password": read_secret(hub.identity.password, kubernetes)}
    if hub.identity.admin_password:
        passwords["admin_password"] = read_secret(hub.identity.admin_password, kubernetes)
    kept = (kubernetes.read(SECRET, KEYS_SECRET, hub.cluster.namespace) or {}).get("data", {})
    keys = {
        key: SecretStr(base64.b64decode(kept[key]).decode() if key in kept else secrets.token_hex(32)) for key in KEYS
    }
    return HubSecrets(passwords, keys)
