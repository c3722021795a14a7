"""The hub's database (SQLite, on a volume), by a script that runs where the volume is: the only place that touches it.

That is the hub's own pod while it is ready, else a short-lived one with the same volume.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tasks.core.errors import Permanent
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import DEPLOYMENT, POD, Body, WantedObject
from tasks.core.record import Backup
from tasks.core.wait import wait_until
from tasks.database.scripts import read_script

HUB = "hub"
"""The chart's name for the Deployment, its pods' component, and their container (4.4.0, templates/hub)."""
VOLUME_MOUNT = "/srv/jupyterhub"
FOLDER = f"{VOLUME_MOUNT}/hubwright"
KEEPER = "hubwright-database"
START_SECONDS = 90.0
STOP_SECONDS = 60.0
SCRIPT_SECONDS = 300.0
LIFE_SECONDS = 600
"""A keeper that nobody deletes ends by itself."""


class HubDatabase:
    """The database of the hub in one namespace. ``image`` is a hub's image that is known to run."""

    def __init__(self, kubernetes: Kubernetes, namespace: str, image: str, say: Callable[[str], None]) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._image = image
        self._say = say

    def read_schema_if_ready(self) -> str | None:
        """Alembic's revision of the tables; None while the hub's pod does not run. Reads only."""
        pod = self._ready_pod()
        return self._run(pod, "look")["schema"] if pod else None

    def read_schema(self) -> str:
        """Alembic's revision of the tables; "" where there are none. A hub that is not ready is stopped for it."""
        with self._pod() as pod:
            return str(self._run(pod, "look")["schema"])

    def back_up(self, name: str, kept: Sequence[str]) -> Backup:
        """A sealed copy is on the database's own volume, and no other one but those of ``kept``."""
        with self._pod() as pod:
            made = self._run(pod, "back-up", f"{FOLDER}/{name}.sqlite", *kept)
        schema = made.pop("schema")
        return Backup(**made, schema_revision=schema, made_at=datetime.now(UTC))

    def restore(self, backup: Backup) -> None:
        """The database is as the backup has it, and no hub runs. What it was is kept beside it, once."""
        with self._keeper() as pod:
            self._run(pod, "restore", backup.file, backup.sha256)

    @contextmanager
    def _pod(self) -> Generator[str]:
        """The name of a pod that has the volume."""
        ready = self._ready_pod()
        if ready:
            yield ready
            return
        with self._keeper() as pod:
            yield pod

    @contextmanager
    def _keeper(self) -> Generator[str]:
        """A pod of our own with the volume, while no hub runs: one volume may not be in two nodes' hands."""
        deployment = self._kubernetes.read(DEPLOYMENT, HUB, self._namespace)
        if deployment is None:
            remedy = "deploy the hub: its volumes are still there"
            raise Permanent("Kubernetes", "find Deployment hub", "there is none", remedy)
        self._kubernetes.merge(DEPLOYMENT, HUB, self._namespace, {"spec": {"replicas": 0}})
        self._wait("stop the hub", lambda: "its pod still stops" if self._pods() else "", STOP_SECONDS)
        self._remove_keeper()
        self._kubernetes.create(keeper_pod(deployment, self._image, self._namespace))
        try:
            self._wait("start a pod with the hub's volume", self._not_running, START_SECONDS)
            yield KEEPER
        finally:
            self._remove_keeper()

    def _remove_keeper(self) -> None:
        if self._kubernetes.read(POD, KEEPER, self._namespace):
            self._kubernetes.delete(POD, KEEPER, self._namespace)
            self._wait("remove it", lambda: "it still stops" if self._read_keeper() else "", STOP_SECONDS)

    def _read_keeper(self) -> Body | None:
        return self._kubernetes.read(POD, KEEPER, self._namespace)

    def _not_running(self) -> str:
        phase = ((self._read_keeper() or {}).get("status") or {}).get("phase", "gone")
        return "" if phase == "Running" else f"Pod {KEEPER} is {phase}"

    def _ready_pod(self) -> str | None:
        ready = [pod["metadata"]["name"] for pod in self._pods() if _is_ready(pod)]
        return ready[0] if ready else None

    def _pods(self) -> tuple[Body, ...]:
        return self._kubernetes.list(POD, self._namespace, f"component={HUB}")

    def _run(self, pod: str, *words: str) -> dict[str, Any]:
        argv = ("python3", "-c", read_script("keeper"), *words)
        return json.loads(self._kubernetes.run(pod, self._namespace, HUB, argv, SCRIPT_SECONDS))

    def _wait(self, asked: str, missing: Callable[[], str], seconds: float) -> None:
        remedy = "look at the pod's events in the hub's namespace"
        wait_until("Kubernetes", asked, missing, seconds=seconds, remedy=remedy, say=self._say, every=1)


def keeper_pod(deployment: Body, image: str, namespace: str) -> WantedObject:
    """A pod like the hub's, with its volume and without the hub. Pure."""
    spec = deployment["spec"]["template"]["spec"]
    hub = next(one for one in spec["containers"] if one["name"] == HUB)
    mounts = [mount for mount in hub.get("volumeMounts", ()) if mount["mountPath"] == VOLUME_MOUNT]
    names = {mount["name"] for mount in mounts}
    same = ("securityContext", "imagePullSecrets", "tolerations", "nodeSelector", "affinity")
    container = {
        "name": HUB,
        "image": image,
        "command": ["sleep", str(LIFE_SECONDS)],
        "volumeMounts": mounts,
        **{key: hub[key] for key in ("securityContext", "resources") if key in hub},
    }
    fields = {
        "metadata": {"labels": {"app.kubernetes.io/managed-by": "hubwright"}},
        "spec": {
            **{key: spec[key] for key in same if key in spec},
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "activeDeadlineSeconds": LIFE_SECONDS,
            "volumes": [one for one in spec.get("volumes", ()) if one["name"] in names],
            "containers": [container],
        },
    }
    return WantedObject(POD, KEEPER, namespace, fields)


def _is_ready(pod: Body) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    stopping = pod["metadata"].get("deletionTimestamp")
    return not stopping and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
