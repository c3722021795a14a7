"""The faults that happen where people sign in by Keycloak."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from config.profiles import load_profile
from tests.faults.faults import Fault, expect
from tests.faults.going_back import BACK, failing, outage
from tests.faults.stage import Stage, open_stage
from tests.sandbox.conftest import Ended, Profile, admin_of, new_thinkube
from tests.sandbox.people import group_id, session_of

USER = "bob"
OTHER_ROLES = {"roles": {"user": None, "member": {"groups": ["hub-gpu"]}}}
"""The client gets a role that the checking user has not, and the profile does not know theirs any more."""


@contextmanager
def open_keycloak_stage() -> Generator[Stage]:
    """A stage whose people sign in by Keycloak; the hub's client is deleted afterwards."""
    with open_stage(new_thinkube, lambda profile: session_of(profile, USER)) as stage:
        try:
            yield stage
        finally:
            admin = admin_of(stage.sandbox)
            found = admin.get_client_id(stage.profile.namespace)
            if found:
                admin.delete_client(found)


def _broken_client(stage: Stage) -> Ended:
    """Keycloak itself says that nobody would get in; the role that the deploy gave to a group is taken back."""
    ended = failing("would arrive with user", identity=OTHER_ROLES)(stage)
    expect("Client role member" in ended.stderr, "the role that is left is named", ended)
    admin = admin_of(stage.sandbox)
    found = admin.get_client_id(stage.profile.namespace)
    assert found
    roles = admin.get_group_client_roles(group_id(admin, "hub-gpu"), found)
    expect([role["name"] for role in roles] == ["gpu"], f"the group has its own role alone, and not {roles}", ended)
    return ended


def _wrong_secret(stage: Stage) -> Ended:
    """The same client, used as it is: by a secret that the profile names, and that is right, then wrong."""
    admin = admin_of(stage.sandbox)
    secret = admin.get_client_secrets(admin.get_client_id(stage.profile.namespace))["value"]
    file = Path(stage.profile.path).with_suffix(".client-secret")
    file.write_text(secret)
    whole = dict(stage.profile.text)
    identity = _as_it_is(stage.profile, file)
    with stage.changed(identity=identity):
        ended = stage.deploy()
        expect(ended.code == 0, "the right secret is taken", ended)
        file.write_text("marker-wrong")
        ended = stage.deploy()
        expect(ended.code == 1 and BACK in ended.stderr and stage.healthy(), "it fails, and goes back", ended)
        expect("marker-wrong" not in ended.stderr, "the secret is not told", ended)
    assert stage.profile.text == whole
    return ended


def _as_it_is(profile: Profile, secret: Path) -> dict[str, Any]:
    """An identity of kind oidc over the one of the profile that this one extends."""
    roles = {role: {"groups": None} for role in load_profile(str(profile)).roles}
    own = {"kind": "oidc", "client_id": profile.namespace, "client_secret": {"file": str(secret)}}
    return {**own, "deployer": None, "roles": roles}


KEYCLOAK: Mapping[str, Fault] = {
    "Keycloak's client broken by the deploy": _broken_client,
    "wrong secret of the OIDC client": _wrong_secret,
    "Keycloak gone for 30 s in the checks": outage("keycloak", "✓ hub and proxy are available"),
}
