"""Names, addresses and ports of the sandbox. They are the same on every machine: there is one sandbox at a time."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

NAME = "hubwright"
"""Of the network namespace, the cgroup and the node."""

RUN = Path("/run/hubwright")
"""Sockets and everything else that a reboot may take; short, because a socket's path has 108 bytes at most."""
NETWORK_NAMESPACE = Path("/run/netns") / NAME

HOST_LINK = "hubwright0"
HOST = IPv4Interface("10.51.0.1/24")
NODE = IPv4Interface("10.51.0.2/24")
NODE_IP = str(NODE.ip)
PODS = IPv4Network("10.52.0.0/16")
SERVICES = IPv4Network("10.53.0.0/16")
API_SERVICE_IP = str(SERVICES[1])
DNS_SERVICE_IP = str(SERVICES[10])
CLUSTER_DOMAIN = "cluster.local"
HOSTS_DOMAIN = "example.internal"
"""Every host in it is the Ingress controller, for whoever asks the name service of the sandbox."""

API_PORT = 6443
REGISTRY_PORT = 5000
PREFECT_PORT = 30420
HTTPS_PORT = 443
HTTP_PORT = 80
INGRESS_HEALTH_PORT = 8082
HUB_PORT = 30080
KEYCLOAK_PORT = 8443
KEYCLOAK_HEALTH_PORT = 9000
HARBOR_PORT = 8444

API = f"https://{NODE_IP}:{API_PORT}"
REGISTRY = f"{NODE_IP}:{REGISTRY_PORT}"
REGISTRY_URL = f"https://{REGISTRY}"
PREFECT = f"http://{NODE_IP}:{PREFECT_PORT}"
KEYCLOAK_HOST = f"keycloak.{HOSTS_DOMAIN}"
KEYCLOAK = f"https://{KEYCLOAK_HOST}:{KEYCLOAK_PORT}"
HARBOR = f"{NODE_IP}:{HARBOR_PORT}"
"""By which images are named: whoever pulls one need not ask the sandbox's name service."""
HARBOR_HOST = f"harbor.{HOSTS_DOMAIN}"
HARBOR_URL = f"https://{HARBOR}"
HUB = f"http://{NODE_IP}:{HUB_PORT}"
RECEIVER_HOST = f"hubwright.{HOSTS_DOMAIN}"
RECEIVER = f"https://{RECEIVER_HOST}/harbor"
