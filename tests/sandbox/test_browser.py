"""A person's browser at the demo's hub: in by Keycloak's page, a cell in JupyterLab, out again, and asked again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import Error as BrowserError

from config.profiles import load_profile
from deployments.sandbox.addresses import HOSTS_DOMAIN, NODE_IP
from deployments.sandbox.machine import install
from deployments.sandbox.paths import CLONE
from tests.sandbox.conftest import Sandbox

PACKAGES = ("chromium", "libnss3-tools")
PICTURE = CLONE / "build" / "jupyterlab.png"
PAGE_MILLISECONDS = 120_000
CODE = (
    "import os; print(f\"{os.environ['JUPYTERHUB_USER']} has {float(os.environ['CPU_LIMIT']):g} CPU"
    " and {int(os.environ['MEM_LIMIT']) / 2**30:g} GiB of memory\")"
)


@pytest.fixture(scope="module")
def _packages() -> None:
    install(PACKAGES, print)


def _open(home: Path) -> Generator[Browser, None, None]:
    """Debian's Chromium, which finds the sandbox's hosts, with what ``home`` holds as trusted."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", f"--host-resolver-rules=MAP *.{HOSTS_DOMAIN} {NODE_IP}", "--no-proxy-server"],
            env={**os.environ, "HOME": str(home)},
        )
        yield browser
        browser.close()


@pytest.fixture
def stranger(_packages: None, tmp_path: Path) -> Generator[Browser, None, None]:
    """A browser that trusts the public authorities only."""
    yield from _open(tmp_path)


@pytest.fixture
def browser(_packages: None, sandbox: Sandbox, tmp_path: Path) -> Generator[Browser, None, None]:
    """A browser that trusts the sandbox's CA, as somebody's who imported it."""
    store = tmp_path / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for words in (
        ["-N", "--empty-password"],
        ["-A", "-t", "C,,", "-n", "sandbox", "-i", str(sandbox.paths.ca)],
    ):
        subprocess.run(["certutil", "-d", f"sql:{store}", *words], check=True, timeout=60)
    yield from _open(tmp_path)


@pytest.mark.usefixtures("demo_image")
def test_bob_signs_in_runs_a_cell_signs_out_and_is_asked_again(sandbox: Sandbox, browser: Browser) -> None:
    ended = sandbox.flows("deploy", "sandbox", "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(PAGE_MILLISECONDS)
    hub = load_profile("sandbox").url
    _sign_in(page, hub, sandbox.paths.keycloak_users.read_text().strip())
    _run_a_cell(page, hub)
    PICTURE.parent.mkdir(exist_ok=True)
    page.screenshot(path=PICTURE)
    _stop(page, hub)
    page.goto(f"{hub}/hub/logout")
    page.goto(f"{hub}/hub/oauth_login")
    expect(page.locator("#username")).to_be_visible()
    assert PICTURE.stat().st_size > 0


def _sign_in(page: Page, hub: str, password: str) -> None:
    page.goto(hub)
    page.locator("a", has_text="Sign in with").click()
    assert (urlsplit(page.url).hostname or "").startswith("keycloak.")
    page.fill("#username", "bob")
    page.fill("#password", password)
    page.click("#kc-login")
    page.wait_for_url(f"{hub}/**")


def _stop(page: Page, hub: str) -> None:
    page.goto(f"{hub}/hub/home")
    if page.locator("#stop").is_visible():
        page.click("#stop")
    expect(page.get_by_text("Start My Server")).to_be_visible()


def _run_a_cell(page: Page, hub: str) -> None:
    _stop(page, hub)  # one of a run before this
    page.goto(f"{hub}/hub/spawn")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(f"{hub}/user/bob/lab**")
    page.goto(f"{hub}/user/bob/lab?reset")  # as it is at first, with its launcher
    page.locator(".jp-LauncherCard[title*='Python 3'][data-category='Notebook']").first.click()
    # A cell that is run before the kernel is there is not run at all.
    page.get_by_role("button", name="Python 3 (ipykernel) | Idle").wait_for()
    cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
    cell.click()
    page.keyboard.insert_text(CODE)
    expect(cell).to_contain_text("JUPYTERHUB_USER")
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output").first
    expect(output).to_contain_text("bob has 1 CPU and 1 GiB of memory", timeout=PAGE_MILLISECONDS)


def test_a_browser_that_does_not_trust_the_ca_says_so(stranger: Browser) -> None:
    page = stranger.new_page()
    with pytest.raises(BrowserError, match="ERR_CERT_AUTHORITY_INVALID"):
        page.goto(load_profile("sandbox").url, timeout=PAGE_MILLISECONDS)
