"""The hub by the name that users have, over HTTPS, from outside the sandbox's network and from inside."""

from __future__ import annotations

from contextlib import closing

import httpx
import pytest
from pydantic import SecretStr

from config.profiles import load_profile
from deployments.sandbox.addresses import HUB, REGISTRY_PORT
from deployments.sandbox.paths import CLONE
from tasks.core.address import Address
from tasks.validation.client import UserSession
from tests.sandbox.conftest import Sandbox

ASK = """
import ssl, urllib.request
trust = ssl.create_default_context(cadata={ca!r})
print(urllib.request.urlopen("https://jupyterhub-test.example.internal/hub/health", context=trust, timeout=10).status)
"""


@pytest.fixture(scope="module")
def address(sandbox: Sandbox) -> Address:
    """The demo's hub, which is there."""
    ended = sandbox.flows("deploy", "sandbox-iav-v1", "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    found = Address.of(load_profile("sandbox-iav-v1"))
    return Address(found.url, str(CLONE / str(found.ca)), found.ip)


def test_the_certificate_is_verified_for_the_hosts_name(address: Address) -> None:
    with closing(address.open_client(10)) as client:
        assert client.get(f"{address.url}/hub/health").status_code == 200
    other = Address(f"https://hub.test:{REGISTRY_PORT}", address.ca, address.ip)
    with (
        closing(other.open_client(10)) as client,
        pytest.raises(httpx.ConnectError, match=r"for 'hub\.test'"),
    ):
        client.get(f"{other.url}/v2/")
    unknown_ca = Address(address.url, None, address.ip)
    with closing(unknown_ca.open_client(10)) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"):
        client.get(f"{address.url}/hub/health")


def test_plain_http_is_sent_on_to_https(address: Address) -> None:
    plain = Address(address.url.replace("https", "http"), address.ca, address.ip)
    with closing(plain.open_client(10)) as client:
        answer = client.get(f"{plain.url}/hub/health")
    assert answer.history[0].is_redirect
    assert str(answer.url) == f"{address.url}/hub/health"


def test_a_browser_on_this_machine_gets_in_by_the_nodes_port() -> None:
    assert "JupyterHub" in httpx.get(f"{HUB}/hub/login", timeout=10, trust_env=False).text


def test_a_server_inside_reaches_the_hub_by_its_name(sandbox: Sandbox, address: Address) -> None:
    """By the cluster's name service and the Ingress; the kernel itself is reached by a websocket through it."""
    password = SecretStr(sandbox.paths.shared_password.read_text().strip())
    with closing(UserSession(address, "ingress-test")) as user:
        assert user.sign_in(password)
        user.start_server(120, lambda _text: None, lambda: None)
        try:
            assert user.run_code(ASK.format(ca=sandbox.paths.ca.read_text())).strip() == "200"
        finally:
            user.stop_server()
