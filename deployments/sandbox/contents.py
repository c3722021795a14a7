"""What the sandbox is filled with once it runs: images and the chart in the registry, objects in the cluster."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import ssl
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from config.profiles import load_profile
from deployments.sandbox.addresses import DNS_SERVICE_IP, NODE_IP, REGISTRY, REGISTRY_URL
from deployments.sandbox.parts import PROVISIONER, PROVISIONER_NAMESPACE, PROVISIONER_SCRIPTS
from deployments.sandbox.paths import Paths
from deployments.sandbox.probes import connect
from tasks.core.errors import Transient
from tasks.core.kubernetes import NOT_FOUND
from tasks.core.objects import CONFIG_MAP, INGRESS_CLASS, NAMESPACE, SECRET, SERVICE, STORAGE_CLASS, Kind, WantedObject
from tasks.core.process import run

CHART = Path(__file__).parent / "chart"
CHARTS = "charts"
PUSH_SECONDS = 300.0
REQUEST_SECONDS = 10.0
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
DNS = "kube-dns"
HUBS = ("sandbox", "sandbox-iav-v1")
"""Profiles of the hubs that the sandbox is for."""
INGRESS_CONTROLLER = "traefik.io/ingress-controller"
"""By which Traefik knows the Ingress classes that are its own (documentation of Traefik 3.6, kubernetes-ingress)."""


@dataclass(frozen=True)
class Pushed:
    """An image of ours, and under which name the sandbox's registry has it."""

    image: str
    repository: str
    tag: str


IMAGES = (
    Pushed("pause", "pause", "3.10"),
    Pushed("busybox", "library/busybox", "1"),
    Pushed("base", "library/debian-python", "bookworm"),
    Pushed("hub", "jupyterhub/k8s-hub", "4.4.0"),
    # JupyterHub 4.1.6: its database has another schema, for going to the newer one and back.
    Pushed("hub-4", "jupyterhub/k8s-hub", "3.3.8"),
    Pushed("proxy", "jupyterhub/configurable-http-proxy", "5"),
    Pushed("notebook", "iav/base-notebook", "v1"),
    # Its servers start, and no kernel in them does: for a release that only the checks find to be bad.
    Pushed("notebook-no-kernel", "iav/base-notebook", "no-kernel"),
    # What Hubwright's own pods run beside the flows.
    Pushed("postgresql", "hubwright/postgresql", "15"),
    Pushed("podman", "hubwright/podman", "4"),
    Pushed("browser", "hubwright/browser", "1"),
)


def ensure_pushed(paths: Paths, pushed: Pushed, layout: Path, say: Callable[[str], None]) -> None:
    """The registry has the image of an OCI layout folder. Writes nothing when it had."""
    [wanted] = json.loads((layout / "index.json").read_text())["manifests"]
    if _manifest_digest(paths, pushed.repository, pushed.tag) == wanted["digest"]:
        return
    target = f"docker://{REGISTRY}/{pushed.repository}:{pushed.tag}"
    say(f"push to {target}")
    run(
        [
            "skopeo", "--insecure-policy", "copy", "--preserve-digests", "--dest-no-creds",
            "--dest-cert-dir", paths.registry_certificates, f"oci:{layout}", target,
        ],
        timeout=PUSH_SECONDS,
        remedy=f"read {paths.log('registry')}, then `make up` again",
        on_line=say,
    )  # fmt: skip


def ensure_chart(paths: Paths, helm: Path, say: Callable[[str], None]) -> None:
    """The registry has the chart as it is in this clone. Writes nothing when it had."""
    about = YAML(typ="safe").load(CHART / "Chart.yaml")
    name, version = str(about["name"]), str(about["version"])
    archive = pack_chart(CHART, name)
    digest = f"sha256:{hashlib.sha256(archive).hexdigest()}"
    seen = _manifest(paths, f"{CHARTS}/{name}", version)
    if seen is not None and digest in [layer["digest"] for layer in seen.json()["layers"]]:
        return
    file = paths.state / "chart" / f"{name}-{version}.tgz"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(archive)
    say(f"push {file.name}")
    argv = [helm, "push", file, f"oci://{REGISTRY}/{CHARTS}", "--ca-file", paths.ca]
    remedy = f"read {paths.log('registry')}, then `make up` again"
    run(argv, timeout=PUSH_SECONDS, env=helm_environment(paths), remedy=remedy)


def helm_environment(paths: Paths) -> dict[str, str]:
    """What Helm needs in its environment to keep its files within the sandbox."""
    home = {f"HELM_{kind}_HOME": str(paths.state / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return {"HOME": str(paths.state), **home}


def pack_chart(folder: Path, name: str) -> bytes:
    """A chart's archive: the same bytes for the same files, whenever and by whomever it is packed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(f"{name}/{file.relative_to(folder)}")
            entry.size, entry.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                archive.addfile(entry, content)
    return gzip.compress(packed.getvalue(), mtime=0)


def ensure_objects(paths: Paths) -> None:
    """The cluster has a default storage class and its DNS service. Writes nothing when it had."""
    cluster = connect(paths.kubeconfig)
    for wanted in (*cluster_objects(), *operations_objects(paths)):
        cluster.ensure(wanted)


def cluster_objects() -> tuple[WantedObject, ...]:
    """What the cluster is given before anybody uses it. Pure."""
    scripts = {
        "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
        "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
    }
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    standard = {
        "metadata": default,
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    return (
        WantedObject(NAMESPACE, PROVISIONER_NAMESPACE, None),
        WantedObject(CONFIG_MAP, PROVISIONER_SCRIPTS, PROVISIONER_NAMESPACE, {"data": scripts}),
        WantedObject(STORAGE_CLASS, "standard", None, standard),
        WantedObject(SERVICE, DNS, "kube-system", _dns_service()),
        WantedObject(ENDPOINT_SLICE, DNS, "kube-system", _dns_endpoints()),
    )


def operations_objects(paths: Paths) -> tuple[WantedObject, ...]:
    """What a company's operations bring before hubs come: an Ingress class, and a certificate for each host."""
    objects: list[WantedObject] = []
    for name in HUBS:
        hub = load_profile(name)
        assert hub.ingress
        namespace, ingress_class = hub.cluster.namespace, hub.ingress.ingress_class
        objects += (
            WantedObject(INGRESS_CLASS, ingress_class, None, {"spec": {"controller": INGRESS_CONTROLLER}}),
            WantedObject(NAMESPACE, namespace, None),
            tls_secret(paths, hub.ingress.tls_secret, namespace),
        )
    return tuple(objects)


def tls_secret(paths: Paths, name: str, namespace: str) -> WantedObject:
    """A TLS Secret with the certificate of every host behind the Ingress."""
    files = {"tls.crt": paths.certificate("ingress"), "tls.key": paths.key("ingress")}
    data = {key: base64.b64encode(file.read_bytes()).decode() for key, file in files.items()}
    return WantedObject(SECRET, name, namespace, {"type": "kubernetes.io/tls", "data": data})


_DNS_PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))


def _dns_service() -> Mapping[str, Any]:
    ports = [{"name": name, "port": 53, "protocol": protocol, "targetPort": 53} for name, protocol in _DNS_PORTS]
    return {"spec": {"clusterIP": DNS_SERVICE_IP, "ports": ports}}


def _dns_endpoints() -> Mapping[str, Any]:
    labels = {"kubernetes.io/service-name": DNS, "endpointslice.kubernetes.io/managed-by": "hubwright"}
    return {
        "metadata": {"labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_IP], "conditions": {"ready": True}}],
        "ports": [{"name": name, "port": 53, "protocol": protocol} for name, protocol in _DNS_PORTS],
    }


def _manifest_digest(paths: Paths, repository: str, tag: str) -> str:
    answer = _manifest(paths, repository, tag)
    return answer.headers["Docker-Content-Digest"] if answer is not None else ""


def _manifest(paths: Paths, repository: str, tag: str) -> httpx.Response | None:
    """What the registry has under a name; None when it has nothing."""
    asked = f"GET {REGISTRY_URL}/v2/{repository}/manifests/{tag}"
    remedy = f"read {paths.log('registry')}, then `make up` again"
    verify = ssl.create_default_context(cafile=paths.ca)
    try:
        answer = httpx.get(
            asked.removeprefix("GET "),
            headers={"Accept": MANIFESTS},
            verify=verify,
            timeout=REQUEST_SECONDS,
            trust_env=False,
        )
        if answer.status_code == NOT_FOUND:
            return None
        return answer.raise_for_status()
    except httpx.HTTPError as error:
        raise Transient("registry", asked, str(error), remedy) from error
