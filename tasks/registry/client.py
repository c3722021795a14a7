"""Harbor's API 2.0, for one project and one repository in it: the only place that talks to it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from tasks.core.login import Login
from tasks.core.trust import trust
from tasks.core.wait import parse_retry_after
from tasks.registry.parsing import parse_artifact, parse_policy, parse_project, parse_robot, parse_vulnerabilities
from tasks.registry.refusal import Forbidden, NotFound, not_json, refused, unreachable
from tasks.registry.state import (
    Fields,
    Place,
    SeenArtifact,
    SeenPolicy,
    SeenProject,
    SeenRobot,
    Vulnerability,
)

API = "/api/v2.0"
TIMEOUT_SECONDS = 15
PAGE_SIZE = 100
HEADERS = {"X-Is-Resource-Name": "true", "Accept": "application/json"}
"""A project whose name is a number is asked for by its name all the same."""


class Harbor:
    """One project, asked as somebody. ``may_write`` is asked before each write, and raises when it may not."""

    def __init__(
        self, http: httpx.Client, place: Place, who: str, may_write: Callable[[], None] = lambda: None
    ) -> None:
        self._http = http
        self._who = who
        self._may_write = may_write
        self._name = place.project
        self._project = f"/projects/{place.project}"
        # Escaped twice: the first time is taken back before Harbor tells the parts of a path apart.
        self._repository = f"{self._project}/repositories/{quote(quote(place.repository, safe=''), safe='')}"

    @classmethod
    def connect(
        cls, place: Place, ca: str | None, credential: Login, may_write: Callable[[], None] = lambda: None
    ) -> Harbor:
        """A client over HTTPS. Nobody is asked yet; close it afterwards."""
        # A session's cookie would have Harbor want a token for each write (CSRF).
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        http = httpx.Client(
            base_url=f"https://{place.host}", verify=trust("Harbor", ca, "registry.ca"), timeout=TIMEOUT_SECONDS,
            auth=(credential.user, credential.secret.get_secret_value()), cookies=cookies,
        )  # fmt: skip
        return cls(http, place, credential.user, may_write)

    def close(self) -> None:
        """Its connections are closed; use it with contextlib.closing."""
        self._http.close()

    def read_login(self, credential: Login) -> bool:
        """Whether somebody's secret is right: asks for a registry token without a scope, as docker login does."""
        path = "/service/token?service=harbor-registry"
        asked = f"GET {path} as {credential.user}"
        auth = (credential.user, credential.secret.get_secret_value())
        answer = self._send("GET", path, asked, auth=auth)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            return False
        self._require(answer, asked)
        return True

    def read_system(self) -> Fields:
        """What Harbor tells of itself: version, ``read_only``, ``project_creation_restriction``."""
        return self._get("/systeminfo").json()

    def read_project(self) -> SeenProject | None:
        """The project; None when there is none. Raises Forbidden when there is, and we may not see it."""
        found = self._find(self._project)
        return parse_project(found) if found else None

    def create_project(self) -> None:
        """The project is there, private, and ours to administer. Raises Conflict when one of that name was."""
        body = {"project_name": self._name, "metadata": {"public": "false"}}
        self._write("POST", "/projects", body)

    def read_scanner(self) -> bool:
        """Whether the project has a scanner that is not disabled."""
        found = self._find(f"{self._project}/scanner") or {}
        return bool(found.get("name")) and not found.get("disabled")

    def list_robots(self, project_id: int) -> tuple[SeenRobot, ...]:
        """The project's own robots."""
        return tuple(parse_robot(row) for row in self._list("/robots", q=f"Level=project,ProjectID={project_id}"))

    def create_robot(self, fields: Fields) -> Login:
        """The robot is there; returns its login, which Harbor never tells again. Raises Conflict when it was."""
        made = self._json(self._write("POST", "/robots", fields))
        return Login(str(made["name"]), SecretStr(str(made["secret"])))

    def update_robot(self, robot: SeenRobot, fields: Fields) -> None:
        """The robot has these fields; its secret is as before. Its level and its full name cannot change."""
        body = {**fields, "id": robot.id, "name": robot.name, "description": robot.description, "disable": False}
        self._write("PUT", f"/robots/{robot.id}", body)

    def delete_robot(self, robot: SeenRobot) -> None:
        """The robot is gone, and its secret is good for nothing."""
        self._write("DELETE", f"/robots/{robot.id}")

    def read_retention(self, retention_id: int) -> Fields:
        """The project's retention policy."""
        return self._get(f"/retentions/{retention_id}").json()

    def create_retention(self, fields: Fields) -> None:
        """The project has this retention policy. Harbor refuses a second one."""
        self._write("POST", "/retentions", fields)

    def update_retention(self, retention_id: int, fields: Fields) -> None:
        """The retention policy is exactly this one."""
        self._write("PUT", f"/retentions/{retention_id}", fields)

    def list_immutable_rules(self) -> tuple[Fields, ...]:
        """The project's rules of tags that nobody moves or deletes."""
        return tuple(self._list(f"{self._project}/immutabletagrules"))

    def create_immutable_rule(self, fields: Fields) -> None:
        """The rule is there, and enabled."""
        self._write("POST", f"{self._project}/immutabletagrules", fields)

    def update_immutable_rule(self, fields: Fields) -> None:
        """The rule with this id has these fields; when ``disabled`` changes, that alone."""
        self._write("PUT", f"{self._project}/immutabletagrules/{fields['id']}", fields)

    def list_policies(self) -> tuple[SeenPolicy, ...]:
        """The project's webhook policies."""
        return tuple(parse_policy(row) for row in self._list(f"{self._project}/webhook/policies"))

    def create_policy(self, fields: Fields) -> None:
        """The webhook policy is there. Raises Conflict when one of that name was."""
        self._write("POST", f"{self._project}/webhook/policies", fields)

    def update_policy(self, policy_id: int, fields: Fields) -> None:
        """The webhook policy is exactly this one."""
        self._write("PUT", f"{self._project}/webhook/policies/{policy_id}", fields)

    def delete_policy(self, policy_id: int) -> None:
        """The webhook policy is gone."""
        self._write("DELETE", f"{self._project}/webhook/policies/{policy_id}")

    def read_artifact(self, reference: str) -> SeenArtifact | None:
        """What the repository has under a tag or digest; None when that, the repository or the project is not there."""
        found = self._find(f"{self._repository}/artifacts/{reference}", with_scan_overview="true")
        return parse_artifact(found) if found else None

    def create_tag(self, reference: str, tag: str) -> None:
        """The artifact has the tag too. Raises Conflict when the repository has it already: it is not moved."""
        self._write("POST", f"{self._repository}/artifacts/{reference}/tags", {"name": tag})

    def start_scan(self, reference: str) -> None:
        """A scan is under way. Raises Conflict when one was, Unmet when there is nothing to scan with."""
        self._write("POST", f"{self._repository}/artifacts/{reference}/scan", {"scan_type": "vulnerability"})

    def read_vulnerabilities(self, reference: str) -> tuple[Vulnerability, ...]:
        """What the last scan that went well found."""
        found = self._get(f"{self._repository}/artifacts/{reference}/additions/vulnerabilities")
        return tuple(parse_vulnerabilities(self._json(found)))

    def _find(self, path: str, **query: str) -> Fields | None:
        """What is in the project; None when it is not there. Harbor says "forbidden" of a project that it has not."""
        try:
            return self._get(path, **query).json()
        except NotFound:
            return None
        except Forbidden:
            if self._has_project():
                raise
            return None

    def _has_project(self) -> bool:
        path = f"/projects?project_name={quote(self._name)}"
        answer = self._send("HEAD", API + path, f"HEAD {path}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return False
        self._require(answer, f"HEAD {path}")
        return True

    def _list(self, path: str, **query: str) -> list[Fields]:
        found: list[Fields] = []
        page = 1
        while True:
            answer = self._get(path, **query, page=str(page), page_size=str(PAGE_SIZE))
            rows = self._json(answer) or []
            found += rows
            if not rows or len(found) >= int(answer.headers.get("X-Total-Count", "0")):
                return found
            page += 1

    def _get(self, path: str, **query: str) -> httpx.Response:
        asked = f"GET {path}"
        answer = self._send("GET", API + path, asked, params=query)
        self._require(answer, asked)
        self._json(answer)
        return answer

    def _write(self, method: str, path: str, body: Fields | None = None) -> httpx.Response:
        self._may_write()
        asked = f"{method} {path}"
        answer = self._send(method, API + path, asked, **({} if body is None else {"json": body}))
        self._require(answer, asked)
        return answer

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise not_json(f"{answer.request.method} {answer.request.url.path}") from None  # its text quotes the answer

    def _require(self, answer: httpx.Response, asked: str) -> None:
        if not answer.is_success:
            wait = parse_retry_after(answer.headers.get("Retry-After"))
            raise refused(asked, self._who, answer.status_code, answer.content, wait)

    def _send(self, method: str, path: str, asked: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, headers=HEADERS, **options)
        except httpx.HTTPError as error:
            raise unreachable(asked, error) from error
