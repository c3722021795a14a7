"""Who gets in by a provider, who stays in, and where signing out leads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tasks.core.change import flatten
from tests.unit.tasks.release.in_hub import Unanswered, role_values, run_snippets, user_with


def test_the_hubs_own_handler_of_a_start_comes_after_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    scope = run_snippets(role_values(), monkeypatch)
    handlers = scope["c"].JupyterHub.authenticator_class(None).get_handlers(None)
    assert [pattern for pattern, _ in handlers[:2]] == [
        "/api/users/([^/]+)/server",
        "/api/users/([^/]+)/servers/([^/]*)",
    ]
    assert handlers[2:] == ["oauth_callback"]


class HubHandler:
    """A handler of the hub's, which keeps what it is told of a user."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []

    async def auth_to_user(self, model: dict[str, Any], _user: Any) -> None:
        self.kept.append(model)


@pytest.mark.parametrize(
    ("found", "expected", "kept"),
    [
        ({"name": "bob", "groups": ["user"]}, {"name": "bob", "groups": ["user"]}, []),
        ({"name": "robert", "groups": []}, False, [{"name": "bob", "groups": []}]),
        (False, False, []),
        (Unanswered("503"), True, []),
        (ConnectionRefusedError(), True, []),
    ],
    ids=["a role is left", "no role is left", "the account is gone", "the provider fails", "the provider is away"],
)
def test_who_has_no_role_any_more_has_to_sign_in_again(
    monkeypatch: pytest.MonkeyPatch, found: Any, expected: Any, kept: list[Any]
) -> None:
    authenticator, hub = run_snippets(role_values(), monkeypatch)["RoleAuthenticator"](found), HubHandler()
    user = user_with("user")
    assert asyncio.run(authenticator.refresh_user(user, hub)) == expected
    assert hub.kept == kept
    assert (user._auth_refreshed is None) is bool(kept)


def test_nobody_stays_an_admin_without_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = run_snippets(role_values(), monkeypatch)["RoleAuthenticator"](None)
    assert asyncio.run(authenticator.update_auth_model({"name": "bob", "admin": None}))["admin"] is False


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
    scope = run_snippets(role_values(), monkeypatch)
    assert scope["c"].GenericOAuthenticator.auth_state_groups_key({"oauth_user": claims}) == roles


@pytest.mark.parametrize("state", [None, {}, {"token_response": {"id_token": "abc"}}])
def test_signing_out_goes_by_way_of_the_provider_and_back(monkeypatch: pytest.MonkeyPatch, state: Any) -> None:
    handler = run_snippets(role_values(), monkeypatch)["ProviderLogoutHandler"](state)

    async def sign_out() -> None:
        await handler.handle_logout()
        await handler.render_logout_page()

    asyncio.run(sign_out())
    back = "post_logout_redirect_uri=https%3A%2F%2Fjupyterhub.thinkube.example%2Fhub%2Flogin"
    hint = "&id_token_hint=abc" if state and state.get("token_response") else ""
    assert handler.sent_to == f"https://id/logout?client_id=jupyterhub&{back}{hint}"


def test_the_hub_is_told_where_people_sign_in_and_no_secret() -> None:
    hub = role_values()["hub"]
    config = hub["config"]["GenericOAuthenticator"]
    assert (config["allowed_groups"], config["admin_groups"]) == (["admin", "user", "gpu"], ["admin"])
    trusted = {"ca_certs": "/usr/local/etc/hubwright/provider-ca.crt"}
    assert config["http_request_kwargs"] == {"request_timeout": 10, **trusted}
    assert hub["extraFiles"]["provider-ca"]["stringData"] == "PEM"
    assert "allow_all" not in hub["config"]["Authenticator"]
    secret = {"valueFrom": {"secretKeyRef": {"name": "hubwright-oidc", "key": "client_secret"}}}
    assert hub["extraEnv"] == {"OAUTH_CLIENT_SECRET": secret}
    assert not [path for path in flatten(hub["config"]) if "secret" in path.lower()]
