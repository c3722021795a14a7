"""How the sandbox's Keycloak is started, and which realm it has."""

import subprocess
from pathlib import Path

import pytest

from deployments.sandbox.drawn import ensure_secrets
from deployments.sandbox.keycloak import keycloak_argv, with_password
from deployments.sandbox.paths import Paths
from deployments.sandbox.realm import DEPLOYER_ROLES, USERS, VERSION, realm_document


def test_secrets_are_drawn_once_and_only_root_reads_them(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "run")
    ensure_secrets(paths)
    drawn = {file.name: file.read_text() for file in paths.drawn}
    assert len(set(drawn.values())) == len(paths.drawn)
    assert {file.stat().st_mode & 0o777 for file in paths.drawn} == {0o600}
    ensure_secrets(paths)
    assert {file.name: file.read_text() for file in paths.drawn} == drawn


@pytest.mark.processes
def test_the_administrators_password_is_in_the_environment_and_in_no_argument(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "run")
    ensure_secrets(paths)
    password = paths.keycloak_admin.read_text().strip()
    argv = [*with_password(paths), "sh", "-c", "echo $KC_BOOTSTRAP_ADMIN_PASSWORD"]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    assert said == password
    assert password not in " ".join((*argv, *keycloak_argv(paths)))


def test_the_realm_has_people_with_and_without_roles_and_an_account_of_few_rights() -> None:
    document = realm_document("deployer-secret", "users-password")
    people = {user["username"]: user for user in document["users"]}
    assert people.keys() == {*USERS, "service-account-hubwright"}
    assert people["carol"]["groups"] == ["/hub-users", "/hub-gpu"]
    assert people["mallory"]["groups"] == []
    assert people["service-account-hubwright"]["clientRoles"] == {"realm-management": list(DEPLOYER_ROLES)}
    assert not {"realm-admin", "manage-realm"} & set(DEPLOYER_ROLES)
    assert document["adminEventsEnabled"]


def test_a_realm_of_another_description_is_told_by_its_version() -> None:
    one, same, other = (realm_document("s", password) for password in ("a", "a", "b"))
    assert one["attributes"][VERSION] == same["attributes"][VERSION] != other["attributes"][VERSION]
