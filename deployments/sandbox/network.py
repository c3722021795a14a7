"""The network namespace that everything in the sandbox runs in, and the link between it and the machine."""

from __future__ import annotations

from pathlib import Path

from deployments.sandbox.addresses import HOST, HOST_LINK, NAME, NETWORK_NAMESPACE, NODE
from tasks.core.process import Output, run

IP_SECONDS = 10.0
IN_NAMESPACE: tuple[str, ...] = ("nsenter", f"--net={NETWORK_NAMESPACE}", "--")
"""Runs a command in the namespace. Not ``ip netns exec``: that mounts a new /sys, which hides the cgroups."""

_INSIDE = (
    f"ip link set lo up && ip addr replace {NODE} dev eth0 && ip link set eth0 up"
    f" && ip route replace default via {HOST.ip} && echo 1 > /proc/sys/net/ipv4/ip_forward"
)


def ensure_network() -> None:
    """The namespace exists, and the machine and the node address reach each other."""
    if not NETWORK_NAMESPACE.exists():
        _run("ip", "netns", "add", NAME)
    if not link_exists():
        _run("ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", "eth0", "netns", NAME)
    _run("ip", "addr", "replace", str(HOST), "dev", HOST_LINK)
    _run("ip", "link", "set", HOST_LINK, "up")
    _run(*IN_NAMESPACE, "sh", "-c", _INSIDE)


def delete_network() -> None:
    """Neither the namespace nor the link is there."""
    if link_exists():
        _run("ip", "link", "delete", HOST_LINK)
    if NETWORK_NAMESPACE.exists():
        _run("ip", "netns", "delete", NAME)


def link_exists() -> bool:
    """Whether the machine's side of the link is there."""
    return (Path("/sys/class/net") / HOST_LINK).exists()


def _run(*argv: str) -> Output:
    return run(
        argv,
        timeout=IP_SECONDS,
        remedy="run `make down`, then `make up`; the machine's kernel must offer network namespaces and veth links",
    )
