"""The way to a registry: HTTPS, and tokens where it wants them (distribution spec, token authentication)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx

from tasks.core.errors import Permanent, Transient
from tasks.core.login import Login
from tasks.core.trust import trust
from tasks.core.wait import parse_retry_after
from tasks.registry.distribution_refusal import Action, Answer, refused, unreachable

TIMEOUT_SECONDS = 15
_CHALLENGE_FIELD = re.compile(r'(\w+)="([^"]*)"')
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@dataclass(frozen=True)
class Ask:
    """One request about a repository. ``url`` is a path, or in full where the registry itself named it.

    ``elsewhere`` is for what may be kept in another place, and is known by its digest.
    """

    method: str
    url: str
    repository: str
    action: Action = Action.PULL
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content: bytes = field(default=b"", repr=False)
    elsewhere: bool = False


@dataclass(frozen=True)
class _Grant:
    """What opens a repository, and the challenge that it answers: when it has expired, another is got by that."""

    challenge: str
    header: str = field(repr=False)


class Connection:
    """One registry, asked as somebody, or without ``login`` as anybody."""

    def __init__(self, host: str, ca: str | None, login: Login | None, transport: httpx.BaseTransport | None) -> None:
        self.host = host
        self.login = login
        verify = transport is not None or trust("registry", ca, "registry.ca")
        self._http = httpx.Client(
            base_url=f"https://{host}", verify=verify, timeout=TIMEOUT_SECONDS, transport=transport
        )
        self._grants: dict[tuple[str, Action], _Grant] = {}

    def close(self) -> None:
        """Its connections are closed."""
        self._http.close()

    def words(self, ask: Ask) -> str:
        """What is asked, for people. A query is left out: those of uploads are worth as much as a password."""
        return f"{ask.method} {self._http.base_url.join(ask.url).copy_with(query=None)}"

    def send(self, ask: Ask) -> httpx.Response:
        """The answer, whatever its status; a token is got when it is wanted, and anew when one has expired."""
        key = (ask.repository, ask.action)
        grant = self._grants.get(key)
        answer = self._send(ask, grant)
        if answer.status_code != HTTPStatus.UNAUTHORIZED:
            return answer
        challenge = answer.headers.get("www-authenticate", "")
        if grant and not challenge.lower().startswith("bearer"):
            challenge = grant.challenge  # Harbor's answer to a token that expired does not say where to get another
        fresh = self._grant(challenge, self.words(ask))
        if fresh is None:
            return answer
        self._grants[key] = fresh
        return self._send(ask, fresh)

    def expect(self, ask: Ask, *statuses: HTTPStatus) -> httpx.Response:
        """The answer, which has one of these statuses. Raises our error for any other."""
        answer = self.send(ask)
        if answer.status_code in statuses:
            return answer
        wait = parse_retry_after(answer.headers.get("retry-after"))
        why = Answer(answer.status_code, answer.content, wait)
        raise refused(self.words(ask), ask.action, why, self.login is not None)

    def address(self, answer: httpx.Response, asked: str) -> str:
        """Where an answer says to go on, in full. Raises Permanent when that is nowhere, or not HTTPS."""
        url = answer.url.join(answer.headers.get("location", ""))
        if not answer.headers.get("location") or url.scheme != "https":
            remedy = "set the registry's own external address (external_url in Harbor) to one with https"
            raise Permanent("registry", asked, f"{answer.status_code}, to go on without HTTPS, or nowhere", remedy)
        return str(url)

    def _send(self, ask: Ask, grant: _Grant | None) -> httpx.Response:
        url = self._http.base_url.join(ask.url).copy_merge_params(dict(ask.params))
        # What opens the registry is shown to nobody else, wherever it sends us.
        ours = grant and (url.host, url.port) == (self._http.base_url.host, self._http.base_url.port)
        headers = dict(ask.headers) | ({"Authorization": grant.header} if grant and ours else {})
        try:
            return self._http.request(  # to another place, the header does not go along
                ask.method, url, headers=headers, content=ask.content, follow_redirects=ask.elsewhere
            )
        except httpx.HTTPError as error:
            raise unreachable(self.words(ask), error) from error
        finally:
            self._http.cookies.clear()  # with a session's cookie, Harbor wants a second secret for writes

    def _grant(self, challenge: str, asked: str) -> _Grant | None:
        """What answers the challenge; None when nothing does."""
        kind, login = challenge.partition(" ")[0].lower(), self.login
        if kind == "basic" and login:
            text = base64.b64encode(f"{login.user}:{login.secret.get_secret_value()}".encode()).decode()
            return _Grant(challenge, f"Basic {text}")
        fields = dict(_CHALLENGE_FIELD.findall(challenge))
        realm = fields.pop("realm", "")
        if kind != "bearer" or not realm:
            return None
        if login and not realm.startswith("https://"):
            remedy = "set the registry's own external address (external_url in Harbor) to one with https"
            raise Permanent("registry", asked, "it wants the password sent without HTTPS", remedy)
        return _Grant(challenge, f"Bearer {self._token(realm, fields, asked)}")

    def _token(self, realm: str, fields: Mapping[str, str], asked: str) -> str:
        auth = (self.login.user, self.login.secret.get_secret_value()) if self.login else None
        try:
            answer = self._http.get(realm, params=fields, auth=auth)
            if self.login and answer.status_code in _REFUSED:
                remedy = f"check the password of {self.login.user}: run again, so that a robot's is renewed"
                raise Permanent("registry", asked, f"gave no token: {answer.status_code}", remedy)
            given = answer.raise_for_status().json()
            return str(given.get("token") or given["access_token"])
        except (httpx.HTTPError, ValueError, AttributeError, KeyError) as error:
            remedy = "check that the registry lets everybody pull this image"
            raise Transient("registry", asked, f"gave no token: {error}", remedy) from error
        finally:
            self._http.cookies.clear()
