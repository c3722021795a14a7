"""The files that parts of the sandbox are configured by. The rendering is pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.sandbox.addresses import (
    CLUSTER_DOMAIN,
    DNS_SERVICE_IP,
    HARBOR,
    HARBOR_URL,
    HOSTS_DOMAIN,
    NAME,
    NODE_IP,
    PODS,
    REGISTRY,
    REGISTRY_PORT,
    REGISTRY_URL,
)
from deployments.sandbox.cgroup import PODS as PODS_CGROUP
from deployments.sandbox.paths import Paths, write_if_changed

PAUSE_IMAGE = f"{REGISTRY}/pause:3.10"
BUSYBOX_IMAGE = f"{REGISTRY}/library/busybox:1"
CNI_PLUGINS = "/usr/lib/cni"
"""Where Debian's containernetworking-plugins puts them."""

_UNUSED_PLUGINS = ("aufs", "btrfs", "devmapper", "zfs")


def render_configuration(paths: Paths) -> dict[str, str]:
    """All files by their name below the configuration folder. Pure."""
    return {
        "registry.json": _json(_registry(paths)),
        "containerd.toml": _containerd(paths),
        f"registries/{REGISTRY}/hosts.toml": _registry_hosts(REGISTRY_URL, paths.registry_certificates),
        f"registries/{HARBOR}/hosts.toml": _registry_hosts(HARBOR_URL, paths.harbor_certificates),
        "containers.conf": _containers(paths),
        "storage.conf": _storage(paths),
        "cni/10-hubwright.conflist": _json(_cni(paths)),
        "audit-policy.json": _json(_AUDIT_POLICY),
        "kubelet.json": _json(_kubelet(paths)),
        "kube-proxy.json": _json(_kube_proxy(paths)),
        "resolv.conf": f"nameserver {NODE_IP}\n",
        "Corefile": _corefile(paths),
        "local-path.json": _json({"nodePathMap": [], "sharedFileSystemPath": str(paths.volumes)}),
        "local-path-pod.json": _json(_VOLUME_POD),
    }


def write_configuration(paths: Paths) -> None:
    """The files are in place; those that were as wanted are untouched."""
    for name, text in render_configuration(paths).items():
        write_if_changed(paths.config / name, text)
    for folder in (paths.registry_certificates, paths.harbor_certificates):
        write_if_changed(folder / "ca.crt", paths.ca.read_text())


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _registry(paths: Paths) -> dict[str, Any]:
    tls = {"certificate": str(paths.certificate("registry")), "key": str(paths.key("registry"))}
    return {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(paths.state / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": f"{NODE_IP}:{REGISTRY_PORT}", "tls": tls},
    }


def _containers(paths: Paths) -> str:
    """Podman 4.3: crun does not start where there are both kinds of cgroups, and no other manager without systemd."""
    return f"""\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=1000:1000"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
compression_format = "zstd"
image_copy_tmp_dir = "{paths.podman}/tmp"
tmp_dir = "{paths.run}/podman/engine"
"""  # noqa: S108


def _storage(paths: Paths) -> str:
    return f"""\
[storage]
driver = "overlay"
graphroot = "{paths.podman}/storage"
runroot = "{paths.run}/podman/storage"
"""


def _containerd(paths: Paths) -> str:
    """containerd 1.6 with everything below our folders. Its shims' sockets stay in /run/containerd: no setting."""
    disabled = ", ".join(f'"io.containerd.snapshotter.v1.{name}"' for name in _UNUSED_PLUGINS)
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{paths.state}/containerd"
state = "{paths.run}/containerd"
oom_score = 0
disabled_plugins = [{disabled}]

[grpc]
address = "{paths.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{paths.state}/containerd/opt"

[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
netns_mounts_under_state_dir = true
restrict_oom_score_adj = true
stream_server_address = "{NODE_IP}"

[{cri}.cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{paths.config}/cni"

[{cri}.registry]
config_path = "{paths.config}/registries"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
BinaryName = "runc"
Root = "{paths.run}/runc"
SystemdCgroup = false
"""


def _registry_hosts(url: str, certificates: Path) -> str:
    """The CA stands twice: what the host does not have is looked for again at the server, which is the same."""
    trust = f'ca = "{certificates}/ca.crt"\n'
    return f'server = "{url}"\n{trust}\n[host."{url}"]\n{trust}'


def _cni(paths: Paths) -> dict[str, Any]:
    """Point-to-point links: every packet is routed, so that services work without bridge netfilter."""
    addresses = {"type": "host-local", "dataDir": f"{paths.run}/cni", "ranges": [[{"subnet": str(PODS)}]]}
    link = {"type": "ptp", "ipMasq": False, "ipam": {**addresses, "routes": [{"dst": "0.0.0.0/0"}]}}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": NAME, "plugins": [link, ports]}


_AUDIT_POLICY: Mapping[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def _kubelet(paths: Paths) -> dict[str, Any]:
    """No argument with the machine: swap may be on, cgroups may be v1, and disks may be nearly full."""
    little = ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "healthzBindAddress": NODE_IP,
        "tlsCertFile": str(paths.certificate("node")),
        "tlsPrivateKeyFile": str(paths.key("node")),
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(paths.ca)}},
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{paths.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{PODS_CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(paths.config / "resolv.conf"),
        "podLogsDir": str(paths.logs / "pods"),
        "volumePluginDir": str(paths.state / "kubelet" / "volume-plugins"),
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {signal: "100Mi" if signal == "memory.available" else "1%" for signal in little},
    }


def _kube_proxy(paths: Paths) -> dict[str, Any]:
    """Conntrack values of zero mean: leave the machine's alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(paths.kubeconfig_of("kube-proxy"))},
        "mode": "iptables",
        "iptables": {"localhostNodePorts": False},
        "clusterCIDR": str(PODS),
        "hostnameOverride": NAME,
        "healthzBindAddress": f"{NODE_IP}:10256",
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _corefile(paths: Paths) -> str:
    """Names of the cluster, and of hosts behind its Ingress; any other does not exist: the sandbox reaches no other."""
    return f"""\
{CLUSTER_DOMAIN} in-addr.arpa {{
    bind {NODE_IP}
    errors
    ready {NODE_IP}:8181
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig "{paths.kubeconfig_of("coredns")}"
        pods insecure
        ttl 5
    }}
}}

{HOSTS_DOMAIN} {{
    bind {NODE_IP}
    errors
    template IN A {{
        answer "{{{{ .Name }}}} 5 IN A {NODE_IP}"
    }}
    template IN AAAA {{
        rcode NOERROR
    }}
}}

. {{
    bind {NODE_IP}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


_VOLUME_POD: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "volume"},
    "spec": {
        "priorityClassName": "system-node-critical",
        "automountServiceAccountToken": False,
        "containers": [{"name": "volume", "image": BUSYBOX_IMAGE, "imagePullPolicy": "IfNotPresent"}],
    },
}
