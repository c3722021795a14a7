"""Where a hub is reached, over HTTP and by websocket, with its certificate verified."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from config.spec import Hub
from tasks.core.trust import trust

PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Address:
    """A hub's URL, without a slash at its end, and what it takes to get there.

    Without ``ca`` the system's CAs count. With ``ip``, connections go there, and the certificate is verified for
    the name of the URL's host all the same.
    """

    url: str
    ca: str | None = None
    ip: str | None = None
    ca_setting: str = "checks.ca"
    """Where the profile names ``ca``, for messages."""

    @classmethod
    def of(cls, hub: Hub) -> Address:
        """Where the users of a hub reach it."""
        return cls(hub.url, hub.checks.ca, hub.checks.address)

    def tls(self) -> ssl.SSLContext:
        """What the hub's certificate is verified by."""
        return trust(self.url, self.ca, self.ca_setting)

    def open_client(
        self, timeout: float, transport: httpx.BaseTransport | None = None, others: Sequence[Address] = ()
    ) -> httpx.Client:
        """A client that follows redirects, to ``others`` too as they are reached.

        ``timeout`` is in seconds, ``transport`` for tests: it then gets every request.
        """
        if transport:
            return httpx.Client(timeout=timeout, follow_redirects=True, transport=transport)
        tls = self.tls()
        return httpx.Client(
            verify=tls,
            timeout=timeout,
            follow_redirects=True,
            transport=_ConnectTo(self.ip, tls) if self.ip else None,
            mounts={
                f"all://{httpx.URL(other.url).netloc.decode()}": other.open_transport()
                for other in others
                if other.special
            },
        )

    def is_at(self, url: str) -> bool:
        """Whether an address is of this host."""
        return httpx.URL(url).netloc == httpx.URL(self.url).netloc

    @property
    def special(self) -> bool:
        """Whether it is reached in another way than any host is."""
        return bool(self.ip or self.ca)

    def open_transport(self) -> httpx.BaseTransport:
        """What a client gets there by."""
        tls = self.tls()
        return _ConnectTo(self.ip, tls) if self.ip else httpx.HTTPTransport(verify=tls)

    def open_socket(self, timeout: float) -> socket.socket | None:
        """A connection to ``ip``, for a client that cannot be told of it; None when the URL's host is good enough."""
        url = httpx.URL(self.url)
        port = url.port or PORTS[url.scheme]
        return socket.create_connection((self.ip, port), timeout=timeout) if self.ip else None


class _ConnectTo(httpx.HTTPTransport):
    """Connects to one IP address, whatever host a request is for: as curl does with ``--connect-to``."""

    def __init__(self, ip: str, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls)
        self._ip = ip

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        named = {**request.extensions, "sni_hostname": request.url.host}
        url = request.url.copy_with(host=self._ip)
        return super().handle_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=named)
        )
