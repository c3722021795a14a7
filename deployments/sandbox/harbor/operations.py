"""What operations have done in Harbor before Hubwright comes: it has a user there, who is no administrator."""

from __future__ import annotations

import ssl

import httpx

from deployments.sandbox.addresses import HARBOR_URL
from deployments.sandbox.harbor.asks import ADMIN
from deployments.sandbox.paths import Paths
from tasks.core.errors import Permanent

DEPLOYER = "hubwright"
REQUEST_SECONDS = 10.0


def connect(paths: Paths) -> httpx.Client:
    """Harbor as its administrator. The flows never do this."""
    trust = ssl.create_default_context(cafile=paths.ca)
    password = paths.harbor_admin.read_text().strip()
    return httpx.Client(
        base_url=HARBOR_URL, auth=(ADMIN, password), verify=trust, timeout=REQUEST_SECONDS, trust_env=False,
        # One that is kept may be closed by the server in the moment in which it is used again.
        limits=httpx.Limits(max_keepalive_connections=0),
    )  # fmt: skip


def ensure_user(paths: Paths) -> None:
    """Hubwright can sign in. Writes nothing when it could."""
    password = paths.harbor_deployer.read_text().strip()
    user = {"username": DEPLOYER, "password": password, "realname": DEPLOYER, "email": f"{DEPLOYER}@example.internal"}
    try:
        with connect(paths) as harbor:
            seen = harbor.get("/api/v2.0/users", params={"q": f"username={DEPLOYER}"}).raise_for_status()
            harbor.cookies.clear()
            if not seen.json():
                harbor.post("/api/v2.0/users", json=user).raise_for_status()
    except httpx.HTTPError as error:
        remedy = f"read {paths.log('harbor')}, then `make up` again"
        raise Permanent("Harbor", f"make user {DEPLOYER}", str(error), remedy) from error
