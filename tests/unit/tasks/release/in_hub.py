"""The snippets as they run in the hub: on the values that they are given, with stand-ins of what the image has."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from config.images import PinnedImage, PinnedImages
from config.oidc import Endpoints, SignIn
from config.profiles import load_profile
from config.server import Gpu
from config.spec import Hub
from tasks.release.values import Values, WantedValues, values_for

IMAGE = PinnedImage("r.test", "team/notebook", "sha256:" + "a" * 64)
CUDA = PinnedImage("r.test", "team/cuda", "sha256:" + "b" * 64)
ENDPOINTS = Endpoints("https://id", "https://id/auth", "https://id/token", "https://id/me", "https://id/logout")


def role_hub() -> Hub:
    whole = load_profile("thinkube").model_dump()
    whole["identity"]["roles"]["admin"]["home"] = "20Gi"
    whole["identity"]["roles"]["gpu"]["images"] = ["cuda"]
    whole["images"] = {"cuda": {"title": "With CUDA", "reference": "r.test/team/cuda:v1"}}
    return Hub.model_validate(whole)


def role_values(gpu: Gpu | None = None) -> Values:
    images = PinnedImages(IMAGE, None, None, {"cuda": CUDA})
    return values_for(WantedValues(role_hub(), images, "mark", gpu, SignIn(ENDPOINTS, "mark"), "PEM"))


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unanswered(Exception):
    """What tornado raises when nobody answers."""


class Log:
    def warning(self, *_words: Any) -> None: ...


class Authenticator:
    """OAuthenticator's, as far as the snippet builds upon it."""

    log = Log()

    def __init__(self, found: Any) -> None:
        self._found = found

    def get_handlers(self, _app: Any) -> list[Any]:
        return ["oauth_callback"]

    async def refresh_user(self, _user: Any, _handler: Any) -> Any:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    async def check_allowed(self, _name: str, found: dict[str, Any]) -> bool:
        return bool(found["groups"])


class Spawner:
    """KubeSpawner, as far as the snippet builds upon it."""

    def __init__(self, *roles: str) -> None:
        self.user = user_with(*roles)

    def _options_from_form(self, form: dict[str, list[str]]) -> dict[str, str]:
        return {key: values[0] for key, values in form.items()}


class StartHandler:
    """JupyterHub's handler of POST /users/NAME/server, as far as the snippet builds upon it."""

    def __init__(self, posted: Any, *roles: str, now: tuple[str, ...] | None = None) -> None:
        self._posted, self._owner, self.started = posted, user_with(*roles), False
        self._now = user_with(*(roles if now is None else now))

    def find_user(self, _name: str) -> Any:
        return self._owner

    def get_json_body(self) -> Any:
        return self._posted

    async def refresh_auth(self, user: Any, *, force: bool) -> Any:
        """By what the provider says ``now``: nobody who has no role is a user any more."""
        assert force
        user.groups = self._now.groups
        return user if user.groups else None

    async def post(self, _name: str, _server: str) -> None:
        self.started = True


def user_with(*roles: str) -> Any:
    groups = [SimpleNamespace(name=role) for role in roles]
    return SimpleNamespace(name="bob", groups=groups, _auth_refreshed=1.0)


def _modules() -> dict[str, dict[str, Any]]:
    """What the snippets import, and the hub's image has."""
    return {
        "jupyterhub": {},
        "jupyterhub.apihandlers": {},
        "jupyterhub.apihandlers.users": {"UserServerAPIHandler": StartHandler},
        "jupyterhub.scopes": {"needs_scope": lambda _scope: lambda method: method},
        "kubespawner": {"KubeSpawner": Spawner},
        "oauthenticator": {},
        "oauthenticator.generic": {
            "GenericOAuthenticator": type("GenericOAuthenticator", (Authenticator,), {"logout_handler": LogoutHandler})
        },
        "tornado": {"web": SimpleNamespace(HTTPError=Refused)},
        "tornado.httpclient": {"HTTPClientError": Unanswered},
    }


def run_snippets(values: Values, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The snippets' scope after they ran as the hub runs them, one after the other."""
    for name, contents in _modules().items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    sections = ("JupyterHub", "KubeSpawner", "GenericOAuthenticator")
    scope: dict[str, Any] = {
        "c": SimpleNamespace(**{section: SimpleNamespace() for section in sections}),
        "get_config": lambda path: _at({"custom": values["custom"]}, path),
    }
    for name, snippet in sorted(values["hub"]["extraConfig"].items()):
        exec(compile(snippet, name, "exec"), scope)  # noqa: S102
    return scope


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


class LogoutHandler:
    """OAuthenticator's handler, as far as the snippet builds upon it."""

    def __init__(self, state: Any) -> None:
        async def get_auth_state() -> Any:
            return state

        self.current_user = SimpleNamespace(get_auth_state=get_auth_state)
        self.sent_to = ""

    async def handle_logout(self) -> None: ...

    async def render_logout_page(self) -> None:
        self.sent_to = "the hub's own page"

    def redirect(self, url: str) -> None:
        self.sent_to = url
