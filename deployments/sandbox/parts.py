"""The parts of the sandbox in the order in which they start: what each runs, needs, and is healthy by."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deployments.sandbox.addresses import (
    API,
    API_PORT,
    HARBOR_PORT,
    HARBOR_URL,
    HTTP_PORT,
    HTTPS_PORT,
    INGRESS_HEALTH_PORT,
    KEYCLOAK,
    KEYCLOAK_HEALTH_PORT,
    NAME,
    NODE_IP,
    PODS,
    REGISTRY_URL,
    SERVICES,
)
from deployments.sandbox.configuration import BUSYBOX_IMAGE
from deployments.sandbox.keycloak import keycloak_argv, keycloak_environment, with_password
from deployments.sandbox.paths import CLONE, Paths
from deployments.sandbox.pki import CA, FRONT_PROXY_CA, SERVICE_ACCOUNTS
from deployments.sandbox.probes import Probe, command_probe, http_probe, log_probe, node_probe

ETCD = "http://127.0.0.1:2379"
"""Without TLS, because only the network namespace of the sandbox reaches it."""
PROVISIONER = "rancher.io/local-path"
PROVISIONER_NAMESPACE = "local-path-storage"
PROVISIONER_SCRIPTS = "volume-scripts"
HARBOR_SOURCE = Path(__file__).parent / "harbor"
OBJECTS = "cluster objects"
"""The job that gives the cluster what parts look for there when they start."""


@dataclass(frozen=True)
class Part:
    """A process of the sandbox. ``timeout`` is how many seconds it may take until its probe finds it healthy."""

    name: str
    argv: tuple[str, ...]
    address: str
    probe: Probe
    timeout: float
    needs: tuple[str, ...] = ()
    binary: str = ""
    """One that we build ourselves: it goes before ``argv``."""
    before: tuple[str, ...] = ()
    """What it is started by: it goes before all of that."""
    files: tuple[Path, ...] = ()
    """Files that it reads when it starts: when one changes, the part is started anew."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def all_parts(paths: Paths) -> tuple[Part, ...]:
    """The table. Each part stands after those that it needs."""
    return (
        _etcd(paths),
        _registry(paths),
        _harbor(paths),
        _containerd(paths),
        _podman(paths),
        _keycloak(paths),
        _apiserver(paths),
        _controller(paths, "kube-controller-manager", 10257, _controller_manager_flags(paths)),
        _controller(paths, "kube-scheduler", 10259, ()),
        _kubelet(paths),
        _kube_proxy(paths),
        _coredns(paths),
        _provisioner(paths),
        _traefik(paths),
    )


def _etcd(paths: Paths) -> Part:
    health = f"http://{NODE_IP}:2381"
    argv = (
        "etcd",
        f"--name={NAME}",
        f"--data-dir={paths.state}/etcd",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        f"--listen-metrics-urls={health}",
        "--auto-compaction-retention=1",
    )
    return Part("etcd", argv, health, http_probe(f"{health}/health"), timeout=60)


def _registry(paths: Paths) -> Part:
    file = paths.config / "registry.json"
    probe = http_probe(f"{REGISTRY_URL}/v2/", paths.ca)
    files = (file, paths.certificate("registry"))
    return Part("registry", ("docker-registry", "serve", str(file)), REGISTRY_URL, probe, timeout=30, files=files)


def _harbor(paths: Paths) -> Part:
    """The stand-in. A change of its source is one of what it runs by."""
    files = {"certificate": paths.certificate("harbor"), "key": paths.key("harbor")}
    others = {"ca": paths.ca, "admin": paths.harbor_admin, "state": paths.harbor}
    argv = (
        sys.executable, "-m", "deployments.sandbox.harbor", f"--host={NODE_IP}", f"--port={HARBOR_PORT}",
        f"--registry={REGISTRY_URL}", *(f"--{name}={file}" for name, file in (files | others).items()),
    )  # fmt: skip
    watched = (*files.values(), *sorted(HARBOR_SOURCE.glob("*.py")))
    return Part(
        "harbor", argv, HARBOR_URL, http_probe(f"{HARBOR_URL}/api/v2.0/ping", paths.ca), 60, ("registry",),
        files=watched, environment={"PYTHONPATH": str(CLONE), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def _containerd(paths: Paths) -> Part:
    file = paths.config / "containerd.toml"
    probe = command_probe("ctr", "--address", paths.containerd_socket, "version")
    argv = ("containerd", "--config", str(file))
    return Part("containerd", argv, f"unix://{paths.containerd_socket}", probe, timeout=60, files=(file,))


def _podman(paths: Paths) -> Part:
    """What images are built by. It trusts the sandbox's CA alone, since it fetches from nowhere else."""
    files = (paths.config / "containers.conf", paths.config / "storage.conf", paths.ca)
    address = f"unix://{paths.podman_socket}"
    environment = {
        "CONTAINERS_CONF": str(files[0]),
        "CONTAINERS_STORAGE_CONF": str(files[1]),
        "SSL_CERT_FILE": str(paths.ca),
        "TMPDIR": str(paths.podman / "tmp"),
        # A build's steps need no container of their own: the flow that asks for one is trusted with the machine.
        "BUILDAH_ISOLATION": "chroot",
    }
    probe = command_probe("podman", "--remote", "--url", address, "version")
    argv = ("podman", "system", "service", "--time=0", address)
    return Part("podman", argv, address, probe, 60, files=files, environment=environment)


def _keycloak(paths: Paths) -> Part:
    health = f"http://{NODE_IP}:{KEYCLOAK_HEALTH_PORT}/health/ready"
    files = (paths.certificate("keycloak"), paths.key("keycloak"))
    return Part(
        "keycloak", keycloak_argv(paths), KEYCLOAK, http_probe(health), 180,
        binary="kc.sh", files=files, environment=keycloak_environment(), before=with_password(paths),
    )  # fmt: skip


def _apiserver(paths: Paths) -> Part:
    files = {
        "tls-cert-file": paths.certificate("apiserver"),
        "tls-private-key-file": paths.key("apiserver"),
        "client-ca-file": paths.ca,
        "kubelet-certificate-authority": paths.ca,
        "kubelet-client-certificate": paths.certificate("apiserver-kubelet-client"),
        "kubelet-client-key": paths.key("apiserver-kubelet-client"),
        "service-account-key-file": paths.key(SERVICE_ACCOUNTS),
        "service-account-signing-key-file": paths.key(SERVICE_ACCOUNTS),
        "requestheader-client-ca-file": paths.certificate(FRONT_PROXY_CA),
        "proxy-client-cert-file": paths.certificate("front-proxy-client"),
        "proxy-client-key-file": paths.key("front-proxy-client"),
        "audit-policy-file": paths.config / "audit-policy.json",
    }
    argv = (
        "kube-apiserver",
        *(f"--{flag}={file}" for flag, file in files.items()),
        f"--etcd-servers={ETCD}",
        f"--advertise-address={NODE_IP}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICES}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--audit-log-path={paths.audit_log}",
        "--audit-log-maxsize=100",
        "--audit-log-maxbackup=2",
    )
    probe = http_probe(f"{API}/readyz", paths.ca)
    watched = tuple(files.values())
    return Part("kube-apiserver", argv, API, probe, 120, ("etcd",), binary="kubernetes", files=watched)


def _controller_manager_flags(paths: Paths) -> tuple[str, ...]:
    return (
        f"--service-account-private-key-file={paths.key(SERVICE_ACCOUNTS)}",
        f"--root-ca-file={paths.ca}",
        f"--cluster-signing-cert-file={paths.ca}",
        f"--cluster-signing-key-file={paths.key(CA)}",
        "--use-service-account-credentials=true",
        f"--cluster-cidr={PODS}",
    )


def _controller(paths: Paths, name: str, port: int, flags: tuple[str, ...]) -> Part:
    kubeconfig = paths.kubeconfig_of(name)
    argv = (
        name,
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={NODE_IP}",
        f"--tls-cert-file={paths.certificate('node')}",
        f"--tls-private-key-file={paths.key('node')}",
        "--leader-elect=false",
        *flags,
    )
    address = f"https://{NODE_IP}:{port}"
    probe = http_probe(f"{address}/healthz", paths.ca)
    files = (kubeconfig, paths.certificate("node"))
    return Part(name, argv, address, probe, 60, ("kube-apiserver",), binary="kubernetes", files=files)


def _kubelet(paths: Paths) -> Part:
    config, kubeconfig = paths.config / "kubelet.json", paths.kubeconfig_of("kubelet")
    argv = (
        "kubelet",
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={paths.state}/kubelet",
        f"--cert-dir={paths.state}/kubelet/pki",
        f"--hostname-override={NAME}",
        f"--node-ip={NODE_IP}",
    )
    health = f"http://{NODE_IP}:10248/healthz"
    probe = node_probe(paths.kubeconfig, http_probe(health))
    files = (config, kubeconfig, paths.certificate("node"))
    needs = ("containerd", "kube-apiserver")
    return Part("kubelet", argv, f"https://{NODE_IP}:10250", probe, 120, needs, binary="kubernetes", files=files)


def _kube_proxy(paths: Paths) -> Part:
    config = paths.config / "kube-proxy.json"
    address = f"http://{NODE_IP}:10256"
    probe = http_probe(f"{address}/healthz")
    argv = ("kube-proxy", f"--config={config}")
    files = (config, paths.kubeconfig_of("kube-proxy"))
    # It asks for the node's address once, at its start.
    return Part("kube-proxy", argv, address, probe, 60, ("kubelet",), binary="kubernetes", files=files)


def _coredns(paths: Paths) -> Part:
    config = paths.config / "Corefile"
    probe = http_probe(f"http://{NODE_IP}:8181/ready")
    files = (config, paths.kubeconfig_of("coredns"))
    argv = ("-conf", str(config))
    return Part("coredns", argv, f"dns://{NODE_IP}:53", probe, 60, ("kube-apiserver",), binary="coredns", files=files)


def _provisioner(paths: Paths) -> Part:
    name = "local-path-provisioner"
    kubeconfig, config, pod = (
        paths.kubeconfig_of(name),
        paths.config / "local-path.json",
        paths.config / "local-path-pod.json",
    )
    argv = (
        "start",
        f"--kubeconfig={kubeconfig}",
        f"--config={config}",
        f"--helper-pod-file={pod}",
        f"--helper-image={BUSYBOX_IMAGE}",
        f"--namespace={PROVISIONER_NAMESPACE}",
        f"--configmap-name={PROVISIONER_SCRIPTS}",
        f"--provisioner-name={PROVISIONER}",
        "--service-account-name=default",
    )
    probe = log_probe(paths.log(name), "Starting provisioner controller", "Started provisioner controller")
    files = (kubeconfig, config, pod)
    return Part(name, argv, str(paths.volumes), probe, 60, (OBJECTS,), binary=name, files=files)


def _traefik(paths: Paths) -> Part:
    """The Ingress controller. It watches for Ingresses and their Secrets, so it needs no file of them."""
    health = f"http://{NODE_IP}:{INGRESS_HEALTH_PORT}"
    kubeconfig = paths.kubeconfig_of("traefik")
    argv = (
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        f"--entrypoints.web.address={NODE_IP}:{HTTP_PORT}",
        "--entrypoints.web.http.redirections.entrypoint.to=websecure",
        f"--entrypoints.websecure.address={NODE_IP}:{HTTPS_PORT}",
        "--entrypoints.websecure.http.tls=true",
        f"--entrypoints.health.address={NODE_IP}:{INGRESS_HEALTH_PORT}",
        "--ping=true",
        "--ping.entrypoint=health",
        "--providers.kubernetesingress=true",
        f"--providers.kubernetesingress.ingressendpoint.ip={NODE_IP}",
    )
    environment = {"KUBECONFIG": str(kubeconfig)}
    probe = http_probe(f"{health}/ping")
    address = f"https://{NODE_IP}:{HTTPS_PORT}"
    return Part(
        "traefik", argv, address, probe, 60, ("kube-apiserver",),
        binary="traefik", files=(kubeconfig,), environment=environment,
    )  # fmt: skip
