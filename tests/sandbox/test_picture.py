"""The picture of JupyterLab that the checks end with, by Debian's Chromium, as Prefect has it afterwards."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from kubernetes import client
from websockets.sync.client import connect

from deployments.sandbox.addresses import HOSTS_DOMAIN, NODE_IP
from deployments.sandbox.machine import install
from deployments.sandbox.paths import CLONE
from tasks.validation.browser import open_page
from tasks.validation.picture import LARGEST_BYTES, SIZE
from tests.sandbox.conftest import Profile, Sandbox, admin_of, new_thinkube

PACKAGES = ("chromium", "libnss3-tools")
PICTURE = CLONE / "build" / "picture.png"
"""Where the last one is, for a person to look at."""
START_SECONDS = 30
PNG_HEAD = b"\x89PNG\r\n\x1a\n"


@contextmanager
def _chromium(home: Path) -> Generator[str]:
    """The address of a browser's DevTools that finds the sandbox's hosts, and trusts what ``home`` holds."""
    data = home / "data"
    argv = [
        "/usr/bin/chromium", "--headless", "--no-sandbox", "--no-proxy-server", "--remote-debugging-port=0",
        f"--user-data-dir={data}", f"--host-resolver-rules=MAP *.{HOSTS_DOMAIN} {NODE_IP}", "about:blank",
    ]  # fmt: skip
    running = subprocess.Popen(
        argv, env={**os.environ, "HOME": str(home)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://localhost:{_port(data / 'DevToolsActivePort', running)}"
    finally:
        running.terminate()
        running.wait(timeout=START_SECONDS)


def _port(file: Path, running: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + START_SECONDS
    while not (file.exists() and file.read_text().count("\n")):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return int(file.read_text().split()[0])


@pytest.fixture
def browser(sandbox: Sandbox, tmp_path: Path) -> Generator[str]:
    """A browser that trusts the sandbox's CA."""
    install(PACKAGES, print)
    store = tmp_path / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "sandbox", "-i", str(sandbox.paths.ca)]):
        subprocess.run(["certutil", "-d", f"sql:{store}", *words], check=True, timeout=60)
    with _chromium(tmp_path) as address:
        yield address


@pytest.fixture
def stranger(tmp_path: Path) -> Generator[str]:
    """A browser that trusts the public authorities only."""
    install(PACKAGES, print)
    with _chromium(tmp_path) as address:
        yield address


@pytest.fixture(scope="module")
def thinkube(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Generator[Profile]:
    """A profile for a hub with Keycloak; its namespace and client are deleted afterwards."""
    own = new_thinkube(sandbox, tmp_path_factory.mktemp("profile"), f"test-{os.urandom(4).hex()}")
    yield own
    admin = admin_of(sandbox)
    client_id = admin.get_client_id(own.namespace)
    if client_id:
        admin.delete_client(client_id)
    client.CoreV1Api(sandbox.api()).delete_namespace(own.namespace)


def test_a_hub_with_a_password_ends_with_a_picture(sandbox: Sandbox, profile: Profile, browser: str) -> None:
    _deploy(sandbox, profile, browser)
    _expect_lab(_picture(sandbox, profile), browser)
    assert _profiles(browser) == []


def test_a_hub_with_a_provider_does_too(sandbox: Sandbox, thinkube: Profile, browser: str) -> None:
    _deploy(sandbox, thinkube, browser)
    _expect_lab(_picture(sandbox, thinkube), browser)


def test_a_browser_that_does_not_trust_the_hub_takes_none_and_the_hub_is_no_worse(
    sandbox: Sandbox, profile: Profile, stranger: str
) -> None:
    said = _deploy(sandbox, profile, stranger)
    assert "there is no picture of JupyterLab: browser: open https://" in said
    assert "net::ERR_CERT_AUTHORITY_INVALID" in said


def test_nor_is_one_without_its_browser(sandbox: Sandbox, profile: Profile) -> None:
    said = _deploy(sandbox, profile, "http://localhost:9")
    assert "there is no picture of JupyterLab: browser: connect to http://localhost:9: ConnectError" in said


def _deploy(sandbox: Sandbox, profile: Profile, browser: str) -> str:
    """What was said of a deploy that went well, as it does with any browser."""
    profile.change(checks={"browser": browser})
    ended = sandbox.flows("deploy", str(profile), "--json").done()
    assert [check["name"] for check in ended.result["checks"] if not check["passed"]] == []
    assert "jupyterhub-session-id" not in ended.stderr
    return ended.stderr


def _picture(sandbox: Sandbox, profile: Profile) -> bytes:
    """The PNG that Prefect has of a hub."""
    key = f"picture-{profile.namespace}"
    url = f"{sandbox.environment['PREFECT_API_URL']}/artifacts/{key}/latest"
    login = tuple(sandbox.environment["PREFECT_API_AUTH_STRING"].split(":", 1))
    found = httpx.get(url, auth=(login[0], login[1]), timeout=30).raise_for_status().json()["data"]
    head = f"![JupyterLab of {profile.namespace}](data:image/png;base64,"
    assert found.startswith(head)
    content = base64.b64decode(found.removeprefix(head).removesuffix(")"), validate=True)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(content)
    return content


def _expect_lab(picture: bytes, browser: str) -> None:
    """It has the right size, and shows much more than an empty page does."""
    with open_page(browser, [], SIZE, 20) as page:
        empty = page.capture("png", 100)
    for one in (picture, empty):
        assert one.startswith(PNG_HEAD)
        assert struct.unpack(">II", one[16:24]) == SIZE
    assert 5 * len(empty) < len(picture) <= LARGEST_BYTES


def _profiles(browser: str) -> list[str]:
    """The profiles that the browser has beside its own, and with them the cookies."""
    own = httpx.get(f"{browser}/json/version", timeout=30).json()["webSocketDebuggerUrl"]
    with connect(own, proxy=None) as channel:
        channel.send(json.dumps({"id": 1, "method": "Target.getBrowserContexts"}))
        return json.loads(channel.recv(timeout=30))["result"]["browserContextIds"]
