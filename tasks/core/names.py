"""What Hubwright and the chart call the things that more than one phase knows."""

from __future__ import annotations

PASSWORDS_SECRET = "hubwright-passwords"
"""The Secret with what people chose."""
KEYS_SECRET = "hubwright-keys"
"""The Secret with what was drawn at random, once."""
CHART_SECRET = "hub"
"""The Secret in which the chart (4.4.0, templates/hub/secret.yaml) keeps what it draws at random."""

OIDC_SECRET = "hubwright-oidc"
"""The Secret with the secret of the hub's client at an identity provider."""
CLIENT_SECRET_KEY = "client_secret"
"""Under which key of ``OIDC_SECRET`` it is."""

BUILD_ROBOT_SECRET = "hubwright-build-robot"
"""The Secret with the name and the secret of the robot that pushes images, under the keys of a basic-auth Secret."""
NOTICE_CONFIG = "hubwright-notice"
"""The ConfigMap with what the hub's pages tell users, and until when."""
NOTICE_KEY = "notice"
"""Under which key of ``NOTICE_CONFIG`` it is: the time of its end in ISO 8601 on the first line, then the words."""

PULL_SECRET = "hubwright-pull"
"""The Secret (kubernetes.io/dockerconfigjson) by which nodes pull the users' images."""

ROUTES_SERVICE = "hubwright-routes"
"""The hub's service (in JupyterHub's sense) that may have the proxy's routes put back."""
METRICS_SERVICE = "hubwright-metrics"
"""The hub's service that may read its metrics."""


def copy_of(secret: str) -> str:
    """The Secret that keeps a Secret as the newest healthy release had it."""
    return f"{secret}-kept"


def token_key(service: str) -> str:
    """Under which key of ``CHART_SECRET`` the chart keeps the API token of one of the hub's services."""
    return f"hub.services.{service}.apiToken"
