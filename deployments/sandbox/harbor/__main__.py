"""The stand-in as a process: ``python -m deployments.sandbox.harbor --state FOLDER …``, served over TLS."""

from __future__ import annotations

import argparse
import ssl
from pathlib import Path

import httpx
import uvicorn

from deployments.sandbox.addresses import HOSTS_DOMAIN, NODE_IP
from deployments.sandbox.harbor.app import make_app
from deployments.sandbox.harbor.asks import Harbor
from deployments.sandbox.harbor.store import Store

CONNECT_SECONDS = 10.0
UPSTREAM_SECONDS = 300.0


class SandboxNames(httpx.AsyncHTTPTransport):
    """Finds the hosts of the sandbox where its name service says that they are; the machine's knows none of them."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of whoever is meant."""
        if request.url.host.endswith(f".{HOSTS_DOMAIN}"):
            request.extensions = {**request.extensions, "sni_hostname": request.url.host}
            request.url = request.url.copy_with(host=NODE_IP)
        return await super().handle_async_request(request)


def main() -> None:
    """Serves until it is stopped."""
    arguments = _parser().parse_args()
    arguments.state.mkdir(parents=True, exist_ok=True)
    trust = ssl.create_default_context(cafile=arguments.ca)
    timeout = httpx.Timeout(UPSTREAM_SECONDS, connect=CONNECT_SECONDS)
    harbor = Harbor(
        store=Store(arguments.state / "harbor.json"),
        upstream=httpx.AsyncClient(base_url=arguments.registry, verify=trust, timeout=timeout, trust_env=False),
        outside=httpx.AsyncClient(transport=SandboxNames(verify=trust)),
        host=f"{arguments.host}:{arguments.port}",
        results=arguments.state / "scans",
        password=arguments.admin.read_text().strip(),
    )
    uvicorn.run(
        make_app(harbor), host=arguments.host, port=arguments.port, ssl_certfile=arguments.certificate,
        ssl_keyfile=arguments.key, proxy_headers=False, server_header=False,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.sandbox.harbor", description="A stand-in for Harbor.")
    parser.add_argument("--host", required=True, help="address to listen on, by which images are named")
    parser.add_argument("--port", required=True, type=int)
    for name in ("certificate", "key", "ca", "admin", "state"):
        parser.add_argument(f"--{name}", required=True, type=Path, metavar="FILE")
    parser.add_argument("--registry", required=True, help="URL of the registry behind it")
    return parser


if __name__ == "__main__":
    main()
