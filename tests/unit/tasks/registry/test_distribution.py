"""The registry's client where a registry keeps to the letter of the specification, or not even that."""

from __future__ import annotations

from contextlib import closing

import httpx
import pytest

from tasks.core.errors import HubError, Permanent, Transient
from tasks.registry.distribution import MANIFEST_TYPES, Registry

DIGEST = "sha256:" + "a" * 64
CHALLENGE = 'Bearer realm="https://auth.test/token",service="r.io",scope="repository:team/notebook:pull"'


class _Server:
    """A registry that hands out tokens, and the requests that it got."""

    def __init__(self, token: httpx.Response, manifest: httpx.Response) -> None:
        self.token, self.manifest = token, manifest
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host == "auth.test":
            return self.token
        if "authorization" not in request.headers:
            return httpx.Response(401, headers={"WWW-Authenticate": CHALLENGE})
        return self.manifest


def _read(server: _Server) -> str:
    with closing(Registry("r.io", None, transport=httpx.MockTransport(server))) as registry:
        return registry.read_digest("team/notebook", "v1")


FOUND = httpx.Response(200, headers={"Docker-Content-Digest": DIGEST})


@pytest.mark.parametrize("field", ["token", "access_token"])
def test_a_token_is_asked_for_as_the_challenge_says(field: str) -> None:
    server = _Server(httpx.Response(200, json={field: "t"}), FOUND)
    assert _read(server) == DIGEST
    first, token, second = server.requests
    assert (first.method, first.url.path) == ("HEAD", "/v2/team/notebook/manifests/v1")
    assert first.headers["accept"] == MANIFEST_TYPES
    assert dict(token.url.params) == {"service": "r.io", "scope": "repository:team/notebook:pull"}
    assert second.headers["authorization"] == "Bearer t"


@pytest.mark.parametrize(
    ("token", "manifest", "kind", "said"),
    [
        (httpx.Response(503), FOUND, Transient, "gave no token: "),
        (httpx.Response(200, text="<html>"), FOUND, Transient, "gave no token: "),
        (httpx.Response(200, json=["t"]), FOUND, Transient, "gave no token: "),
        (httpx.Response(200, json={}), FOUND, Transient, "gave no token: "),
        (httpx.Response(200, json={"token": "t"}), httpx.Response(403), Permanent, "403, it may not be read"),
        (httpx.Response(200, json={"token": "t"}), httpx.Response(429), Transient, "429"),
        (httpx.Response(200, json={"token": "t"}), httpx.Response(200), Permanent, "without the header"),
    ],
)
def test_what_goes_wrong_is_ours(
    token: httpx.Response, manifest: httpx.Response, kind: type[HubError], said: str
) -> None:
    with pytest.raises(kind) as error:
        _read(_Server(token, manifest))
    assert said in error.value.answered
    assert error.value.asked == "HEAD https://r.io/v2/team/notebook/manifests/v1"


def test_a_ca_that_cannot_be_read_is_a_mistake_of_the_profile() -> None:
    with pytest.raises(Permanent, match=r"registry\.ca"):
        Registry("r.io", "/no/such/ca.crt")
