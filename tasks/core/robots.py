"""The robot by which images are pushed, as the registry phase has left it beside the hub."""

from __future__ import annotations

from pydantic import SecretStr

from config.secrets import KubernetesSecretKey, SecretRef
from config.spec import Hub
from tasks.core.kubernetes import Kubernetes
from tasks.core.login import Login
from tasks.core.names import BUILD_ROBOT_SECRET
from tasks.core.secrets import read_secret


def read_build_robot(hub: Hub, kubernetes: Kubernetes) -> Login:
    """The robot of the hub's project. Raises Permanent when the registry phase has not been there yet."""

    def read(key: str) -> SecretStr:
        place = KubernetesSecretKey(namespace=hub.cluster.namespace, name=BUILD_ROBOT_SECRET, key=key)
        return read_secret(SecretRef(kubernetes=place), kubernetes)

    return Login(read("username").get_secret_value(), read("password"))
