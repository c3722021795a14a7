"""What the hub offers by role: the snippets as they run in the hub, on the values that they are given."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from config.images import PinnedImage, PinnedImages
from config.oidc import Endpoints, SignIn
from config.profiles import load_profile
from config.server import Gpu
from config.spec import Hub
from tasks.core.change import flatten
from tasks.release.snippets import read_snippet
from tasks.release.values import Values, WantedValues, values_for

IMAGE = PinnedImage("r.test", "team/notebook", "sha256:" + "a" * 64)
CUDA = PinnedImage("r.test", "team/cuda", "sha256:" + "b" * 64)
ENDPOINTS = Endpoints("https://id", "https://id/auth", "https://id/token", "https://id/me", "https://id/logout")


def _hub() -> Hub:
    whole = load_profile("thinkube").model_dump()
    whole["identity"]["roles"]["admin"]["home"] = "20Gi"
    whole["identity"]["roles"]["gpu"]["images"] = ["cuda"]
    whole["images"] = {"cuda": {"title": "With CUDA", "reference": "r.test/team/cuda:v1"}}
    return Hub.model_validate(whole)


def _values(gpu: Gpu | None = None) -> Values:
    images = PinnedImages(IMAGE, None, None, {"cuda": CUDA})
    return values_for(WantedValues(_hub(), images, "mark", gpu, SignIn(ENDPOINTS, "mark"), "PEM"))


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _run(name: str, values: Values, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The snippet's own scope after it ran as the hub runs it."""
    web = ModuleType("tornado.web")
    web.HTTPError = _Refused  # type: ignore[attr-defined]
    tornado = ModuleType("tornado")
    tornado.web = web  # type: ignore[attr-defined]
    generic = ModuleType("oauthenticator.generic")
    generic.GenericOAuthenticator = type("Authenticator", (), {"logout_handler": _Handler})  # type: ignore[attr-defined]
    for module in (tornado, web, ModuleType("oauthenticator"), generic):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    scope: dict[str, Any] = {
        "c": SimpleNamespace(KubeSpawner=SimpleNamespace(), GenericOAuthenticator=SimpleNamespace()),
        "get_config": lambda path: _at({"custom": values["custom"]}, path),
    }
    exec(compile(read_snippet(name), name, "exec"), scope)  # noqa: S102
    return scope


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


class _Handler:
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


def _offered(monkeypatch: pytest.MonkeyPatch, *roles: str, gpu: Gpu | None = None) -> list[dict[str, Any]]:
    scope = _run("spawner", _values(gpu), monkeypatch)
    spawner = SimpleNamespace(user=SimpleNamespace(groups=[SimpleNamespace(name=role) for role in roles]))
    return asyncio.run(scope["c"].KubeSpawner.profile_list(spawner))


def test_a_user_is_offered_what_their_role_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    [standard] = _offered(monkeypatch, "user", "somebody-elses-group", gpu=Gpu())
    override = standard["kubespawner_override"]
    assert (override["cpu_limit"], override["mem_limit"], override["storage_capacity"]) == (1.0, 2**30, str(10 * 2**30))
    assert "--ServerApp.shutdown_no_activity_timeout=3600" in override["args"]
    assert "profile_options" not in standard


def test_of_several_roles_the_most_of_each_thing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    standard, gpu = _offered(monkeypatch, "user", "admin", "gpu", gpu=Gpu())
    override = gpu["kubespawner_override"]
    assert (override["cpu_limit"], override["mem_limit"], override["storage_capacity"]) == (2.0, 2**31, str(20 * 2**30))
    assert override["extra_resource_limits"] == {"nvidia.com/gpu": "1"}
    assert "args" not in override  # the longest time of all is the culler's
    assert set(standard["profile_options"]["image"]["choices"]) == {"usual", "cuda"}
    choice = standard["profile_options"]["image"]["choices"]["cuda"]
    assert choice == {"display_name": "With CUDA", "kubespawner_override": {"image": str(CUDA)}}


def test_without_gpus_in_the_cluster_none_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one["slug"] for one in _offered(monkeypatch, "gpu")] == ["standard"]
    assert [one["slug"] for one in _offered(monkeypatch, "gpu", gpu=Gpu())] == ["standard", "gpu"]


@pytest.mark.parametrize("roles", [(), ("somebody-elses-group",)])
def test_who_has_no_role_is_offered_nothing_and_not_the_charts_defaults(
    monkeypatch: pytest.MonkeyPatch, roles: tuple[str, ...]
) -> None:
    with pytest.raises(_Refused, match="no role") as refused:
        _offered(monkeypatch, *roles)
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"hub_roles": ["user", "theirs"]}, ["user"]),
        ({"hub_roles": "admin"}, ["admin"]),
        ({}, []),
        ({"hub_roles": None}, []),
    ],
)
def test_only_roles_of_the_profile_become_groups(
    monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any], roles: list[str]
) -> None:
    scope = _run("provider", _values(), monkeypatch)
    assert scope["c"].GenericOAuthenticator.auth_state_groups_key({"oauth_user": claims}) == roles


@pytest.mark.parametrize("state", [None, {}, {"token_response": {"id_token": "abc"}}])
def test_signing_out_goes_by_way_of_the_provider_and_back(monkeypatch: pytest.MonkeyPatch, state: Any) -> None:
    handler = _run("provider", _values(), monkeypatch)["ProviderLogoutHandler"](state)

    async def sign_out() -> None:
        await handler.handle_logout()
        await handler.render_logout_page()

    asyncio.run(sign_out())
    back = "post_logout_redirect_uri=https%3A%2F%2Fjupyterhub.thinkube.example%2Fhub%2Flogin"
    hint = "&id_token_hint=abc" if state and state.get("token_response") else ""
    assert handler.sent_to == f"https://id/logout?client_id=jupyterhub&{back}{hint}"


def test_the_hub_is_told_where_people_sign_in_and_no_secret() -> None:
    hub = _values()["hub"]
    config = hub["config"]["GenericOAuthenticator"]
    assert (config["allowed_groups"], config["admin_groups"]) == (["admin", "user", "gpu"], ["admin"])
    assert config["http_request_kwargs"] == {"ca_certs": "/usr/local/etc/hubwright/provider-ca.crt"}
    assert hub["extraFiles"]["provider-ca"]["stringData"] == "PEM"
    assert "allow_all" not in hub["config"]["Authenticator"]
    secret = {"valueFrom": {"secretKeyRef": {"name": "hubwright-oidc", "key": "client_secret"}}}
    assert hub["extraEnv"] == {"OAUTH_CLIENT_SECRET": secret}
    assert not [path for path in flatten(hub["config"]) if "secret" in path.lower()]


def test_where_no_role_applies_the_least_of_all_does() -> None:
    values = _values()
    assert (values["singleuser"]["cpu"]["limit"], values["singleuser"]["memory"]["limit"]) == (1.0, 2**30)
    assert values["cull"]["timeout"] == 8 * 3600
