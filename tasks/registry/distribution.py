"""A registry by the OCI distribution API: which digest a tag stands for."""

from __future__ import annotations

import re
from http import HTTPStatus

import httpx

from tasks.core.errors import Permanent, Transient
from tasks.core.login import Login
from tasks.core.trust import trust

TIMEOUT_SECONDS = 15
MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_CHALLENGE_FIELD = re.compile(r'(\w+)="([^"]*)"')


class Registry:
    """One registry, over HTTPS, asked as somebody, or without ``login`` as anybody; by tokens where it wants them."""

    def __init__(
        self, host: str, ca: str | None, login: Login | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.host = host
        self._login = login
        verify = transport is not None or trust("registry", ca, "registry.ca")
        self._http = httpx.Client(
            base_url=f"https://{host}", verify=verify, timeout=TIMEOUT_SECONDS, transport=transport
        )

    def close(self) -> None:
        """Its connections are closed; use it with contextlib.closing."""
        self._http.close()

    def read_digest(self, repository: str, tag: str) -> str:
        """The digest that a tag stands for now (distribution spec 1.1, "Pulling manifests").

        Raises Permanent when there is no such tag or it may not be read, Transient when the registry
        cannot be reached or fails.
        """
        path = f"/v2/{repository}/manifests/{tag}"
        asked = f"HEAD https://{self.host}{path}"
        answer = self._head(path, asked, None)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            answer = self._head(path, asked, self._token(answer.headers.get("www-authenticate", ""), asked))
        if answer.status_code == HTTPStatus.NOT_FOUND:
            remedy = "build and push the image, or correct image.reference in the profile"
            raise Permanent("registry", asked, "404, there is no such image or tag", remedy)
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise Permanent("registry", asked, f"{answer.status_code}, it may not be read", "make the project public")
        if answer.status_code != HTTPStatus.OK:
            raise Transient("registry", asked, f"{answer.status_code}", "look at the registry's log, then run again")
        digest = answer.headers.get("docker-content-digest")
        if not digest:
            remedy = "name the image by digest in the profile: this registry does not tell the digest of a tag"
            raise Permanent("registry", asked, "200, without the header Docker-Content-Digest", remedy)
        return digest

    def _head(self, path: str, asked: str, token: str | None) -> httpx.Response:
        headers = {"Accept": MANIFEST_TYPES} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            return self._http.head(path, headers=headers)
        except httpx.HTTPError as error:
            remedy = "check its address and registry.ca in the profile, and that this machine reaches it"
            raise Transient("registry", asked, str(error) or type(error).__name__, remedy) from error

    def _token(self, challenge: str, asked: str) -> str | None:
        """A token by the answer's challenge (distribution spec, token authentication), None without one."""
        fields = dict(_CHALLENGE_FIELD.findall(challenge))
        realm = fields.pop("realm", None)
        if not challenge.lower().startswith("bearer") or not realm:
            return None
        try:
            auth = (self._login.user, self._login.secret.get_secret_value()) if self._login else None
            answer = self._http.get(realm, params=fields, auth=auth).raise_for_status().json()
            return str(answer.get("token") or answer["access_token"])
        except (httpx.HTTPError, ValueError, AttributeError, KeyError) as error:
            remedy = "check that the registry lets everybody pull this image"
            raise Transient("registry", asked, f"gave no token: {error}", remedy) from error
