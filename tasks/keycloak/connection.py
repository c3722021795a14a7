"""The way to a realm's admin API: an account's token, and every connection verified."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from keycloak import KeycloakOpenIDConnection
from pydantic import SecretStr
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from config.identity import KeycloakIdentity
from tasks.core.trust import trust

REQUEST_SECONDS = 15


def open_connection(identity: KeycloakIdentity, secret: SecretStr) -> KeycloakOpenIDConnection:
    """A connection as the service account of the profile. Nobody is asked yet."""
    tls = trust("Keycloak", identity.ca, "identity.ca")
    adapter = ConnectTo(identity.address, tls)
    connection = KeycloakOpenIDConnection(
        # The library joins paths to it, which would take the place of a last part without a slash.
        server_url=f"{identity.server}/",
        realm_name=identity.realm,
        client_id=identity.deployer.client_id,
        client_secret_key=secret.get_secret_value(),
        # It hands this on as it is; without it, its asynchronous half reads other CAs, and takes long over it.
        verify=tls,  # pyright: ignore[reportArgumentType]
        timeout=REQUEST_SECONDS,
        max_retries=0,
    )
    for manager in (connection, connection.keycloak_openid.connection):
        for scheme in ("https://", "http://"):
            # The library has no other way to say where to connect, and its own adapter repeats writes.
            manager._s.mount(scheme, adapter)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return connection


class ConnectTo(HTTPAdapter):
    """Connects to one IP address, if one is given; the certificate is verified for the name all the same."""

    def __init__(self, ip: str | None, tls: ssl.SSLContext) -> None:
        self._ip, self._tls = ip, tls
        super().__init__(max_retries=0)

    def build_connection_pool_key_attributes(
        self,
        request: PreparedRequest,
        verify: bool | str,  # noqa: ARG002
        cert: str | tuple[str, str] | None = None,  # noqa: ARG002
    ) -> tuple[Any, Any]:
        """Where to connect, and how; what the library thinks of certificates does not count."""
        url = urlsplit(request.url or "")
        where = {"scheme": url.scheme, "host": self._ip or url.hostname, "port": url.port}
        if url.scheme != "https":
            return where, {}
        return where, {"ssl_context": self._tls, "cert_reqs": "CERT_REQUIRED", "server_hostname": url.hostname}

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:
        """Nothing is left to do: a pool has its context, and this would add the CAs of requests' own to it."""

    def add_headers(self, request: PreparedRequest, **_options: Any) -> None:
        """The host of the URL is asked for, whatever is connected to."""
        request.headers["Host"] = urlsplit(request.url or "").netloc
