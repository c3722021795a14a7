"""How the deploy flow sees to it that people can sign in at a provider."""

from __future__ import annotations

from pathlib import Path

import pytest

import flows.deploy as module
import flows.sign_in as sign_in_module
from config.oidc import Endpoints, SignIn
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import Permanent
from tasks.core.problems import NotReady, Problem
from tasks.keycloak.phase import KeycloakLook
from tasks.oidc.state import SeenProvider
from tests.flows.steps import BACK, WRITES, fail, stand_in

ENDPOINTS = Endpoints("https://id.test", "https://id.test/auth", "https://id.test/token", "https://id.test/me", None)
NEW_CLIENT = Plan((Change.of(Action.CREATE, "Client jupyterhub"),))
SET_UP = ("ensure_client", "ensure_roles", "ensure_client_secret", "check_claims")
OIDC = """
extends: sandbox-iav-v1
name: oidc
identity:
  {kind: oidc, password: null, admins: null, issuer: "https://id.test", client_secret: {env: SECRET}, roles: {user: {}}}
checks: {password: {env: PASSWORD}}
"""


@pytest.fixture
def asked(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> list[SignIn | None]:
    """How the values were asked to sign people in, each time that they were worked out."""
    seen: list[SignIn | None] = []
    answers = {
        "look_at_provider": SeenProvider(ENDPOINTS),
        "look_at_keycloak": KeycloakLook((), NEW_CLIENT, None),
        "mark_client_secret": "mark-of-oidc",
        "ensure_client": NEW_CLIENT,
        "take_roles_back": None,
        "ensure_roles": Plan(),
        "ensure_client_secret": "mark-of-client",
        "check_claims": None,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(sign_in_module, name, stand_in(name, lambda answer=answer: answer, calls))
    want = module.want_values

    class Wanted:
        def submit(self, *arguments: object) -> object:
            seen.append(arguments[2])  # type: ignore[arg-type]
            return want.submit(*arguments)

        def __call__(self, *arguments: object) -> object:
            seen.append(arguments[2])  # type: ignore[arg-type]
            return want(*arguments)

    monkeypatch.setattr(module, "want_values", Wanted())
    return seen


def test_keycloak_is_set_up_before_the_release_which_gets_the_new_clients_mark(
    calls: list[str], asked: list[SignIn | None]
) -> None:
    result = module.deploy("sandbox")
    wrote = calls[calls.index("ensure_namespace") :]
    assert wrote == [*WRITES[:3], "protect_image", *SET_UP, "want_values", *WRITES[3:]]
    assert asked == [SignIn(ENDPOINTS, None), SignIn(ENDPOINTS, "mark-of-client")]
    assert [change.what for change in result.plan] == ["Namespace jupyterhub-test", "Client jupyterhub"]


def test_a_client_that_is_there_already_leaves_the_values_as_planned(
    calls: list[str], asked: list[SignIn | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = KeycloakLook((), Plan(), "mark-of-client")
    monkeypatch.setattr(sign_in_module, "look_at_keycloak", stand_in("look_at_keycloak", lambda: look, calls))
    module.deploy("sandbox")
    assert asked == [SignIn(ENDPOINTS, "mark-of-client")]


def test_a_provider_that_is_only_used_is_not_written_to(
    calls: list[str], asked: list[SignIn | None], tmp_path: Path
) -> None:
    profile = tmp_path / "oidc.yaml"
    profile.write_text(OIDC)
    module.deploy(str(profile))
    assert not set(SET_UP) & set(calls)
    assert asked == [SignIn(ENDPOINTS, "mark-of-oidc")]


@pytest.mark.usefixtures("asked")
def test_a_provider_that_is_not_there_stops_a_deploy_and_is_told_once(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Permanent("OIDC", "GET discovery", "404", "correct identity.issuer")
    monkeypatch.setattr(sign_in_module, "look_at_provider", stand_in("look_at_provider", fail(gone), calls))
    with pytest.raises(NotReady, match="one thing is missing"):
        module.deploy("sandbox")
    assert "look_at_keycloak" not in calls
    assert not set(WRITES) & set(calls)


@pytest.mark.usefixtures("asked")
def test_what_the_realms_owner_must_do_is_said_and_stops_nothing(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Problem("Group hub-users", "this account may not make it", "ask the realm's owner", fatal=False)
    look = KeycloakLook((owner,), Plan(), "mark-of-client")
    monkeypatch.setattr(sign_in_module, "look_at_keycloak", stand_in("look_at_keycloak", lambda: look, calls))
    assert module.deploy("sandbox").record is not None


@pytest.mark.usefixtures("asked")
def test_a_failure_at_the_provider_leaves_the_last_healthy_release(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Permanent("Keycloak", "evaluate scopes", "no role", "look at the mapper")
    monkeypatch.setattr(sign_in_module, "check_claims", stand_in("check_claims", fail(wrong), calls))
    with pytest.raises(Permanent, match="no role"):
        module.deploy("sandbox")
    assert "ensure_release" not in calls
    failed = calls.index("check_claims")
    back = [step for step in calls[failed + 1 :] if step not in BACK]
    assert back == ["read_records", "ensure_client", "take_roles_back", "ensure_roles", "ensure_client_secret"]
    assert "restore_release" in calls[failed:]
