"""Profiles: what they say, how they extend each other, and how their mistakes are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from config.profiles import FOLDER, BadProfile, _merge, load_profile, profile_names
from config.schema import FILE, profile_schema
from config.spec import Hub
from tasks.core.change import flatten

MALFORMED = 200


def _load(path: Path, text: str) -> list[str]:
    """The lines of a profile's mistakes, without its folder."""
    path.write_text(text)
    with pytest.raises(BadProfile) as error:
        load_profile(str(path))
    return [line.replace(f"{path.parent}/", "") for line in str(error.value).splitlines()]


def test_iav_v1_has_exactly_the_names_of_its_document() -> None:
    hub = load_profile("iav-v1")
    assert hub.cluster.namespace == "jupyterhub-test"
    assert hub.cluster.service_account == "jupyterhub-sa"
    assert hub.storage.shared
    assert (hub.storage.shared.claim, hub.storage.shared.storage_class) == ("jupyterhub-shared-home", "standard")
    assert (hub.storage.shared.mount, hub.storage.home.mount) == ("/shared", "/home/jovyan")
    assert hub.ingress
    assert (hub.ingress.host, hub.ingress.tls_secret) == ("jupyterhub-test.example.internal", "jupyterhub-tls")
    assert hub.image.reference == "registry.example.com/iav/base-notebook:v1"
    assert hub.identity.kind == "dummy"
    assert hub.url == "https://jupyterhub-test.example.internal"


def test_sandbox_differs_from_iav_v1_by_addresses_only() -> None:
    one, other = (flatten(load_profile(name).model_dump()) for name in ("iav-v1", "sandbox-iav-v1"))
    assert {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)} == {
        "name",
        "registry.ca",
        "image.reference",
        "identity.password.env",
        "identity.password.file",
        "release.chart.repository",
        "release.chart.ca",
        "release.images.hub",
        "release.images.proxy",
        "release.node_port",
        "release.notice",
        "checks.ca",
        "checks.address",
    }


def test_every_mistake_is_told_at_once_with_file_line_and_key(tmp_path: Path) -> None:
    text = (
        "extends: iav-v1\n"
        "name: Foo_Bar\n"
        "image: {referense: x}\n"
        "server:\n"
        "  cpu: {limit: 2 cores}\n"
        "identity: {password: {env: null}}\n"
        "release: {timeout: 10 min}\n"
    )
    found = _load(tmp_path / "bad.yaml", text)
    assert [line.split(": ")[:2] for line in found] == [
        ["bad.yaml:2", "name"],
        ["bad.yaml:3", "image.referense"],
        ["bad.yaml:6", "identity.password"],
        ["bad.yaml:5", "server.cpu.limit"],
        ["bad.yaml:7", "release.timeout"],
    ]
    assert "there is no such key; did you mean reference?" in found[1]
    assert "found '2 cores'" in found[3]
    assert "(for example '1')" in found[3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a mapping"),
        ("- a\n- b\n", "must be a mapping"),
        ("a: [\n", "is not YAML"),
        ("a: 1\na: 2\n", "is not YAML"),
        ("extends: nobody\n", "no profile 'nobody'"),
        ("extends: iav-v2\n", "did you mean iav-v1?"),
        ("extends: [iav-v1]\n", "must be the name or path"),
        ("extends: self.yaml\n", "a chain of 8 at most"),
        ("extends: missing.yaml\n", "No such file"),
        ("name: x\n", "cluster: is missing"),
        ("extends: iav-v1\ningress: null\n", "nobody could reach the hub"),
        ("extends: iav-v1\nchecks: {user: admin}\n", "must not be one of identity.admins"),
        ("extends: iav-v1\nrelease: {chart: {path: x.tgz}}\n", "give either repository or path"),
        ("extends: iav-v1\nidentity: {kind: shared-password}\n", "lets no admin in without admin_password"),
        ("extends: iav-v1\nidentity: {admin_password: {env: X}}\n", "dummy knows one password only"),
        ("extends: iav-v1\nidentity: {password: {file: x}}\n", "exactly one place"),
    ],
)
def test_a_bad_profile_says_why(tmp_path: Path, text: str, said: str) -> None:
    assert said in "\n".join(_load(tmp_path / "self.yaml", text))


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadProfile, match="is not UTF-8 text"):
        load_profile(str(path))


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        # Cases of RFC 7396, appendix A; a null stays, for the spec to take away.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {"a": None}),
        ({"a": "b", "b": "c"}, {"a": None}, {"a": None, "b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d", "c": None}}),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {"ccc": None}}}),
    ],
)
def test_extending_is_a_json_merge_patch(target: Any, patch: Any, merged: Any) -> None:
    assert _merge(target, patch) == merged


NULLS = [
    ("server: {gpu: null}", lambda hub: hub.server.gpu is None),
    ("monitoring: null", lambda hub: hub.monitoring is None),
    ("storage: {shared: null}", lambda hub: hub.storage.shared is None),
    ("checks: {user: null}", lambda hub: hub.checks.user == "hubwright-check"),
    ("identity: {admins: null}", lambda hub: hub.identity.admins == ()),
    ("images: {other: null}", lambda hub: hub.images == {}),
]


@pytest.mark.parametrize(("text", "so"), NULLS, ids=[text for text, _ in NULLS])
def test_null_is_a_choice_where_there_is_one_and_takes_away_elsewhere(
    tmp_path: Path, text: str, so: Callable[[Hub], bool]
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"extends: iav-v1\n{text}\n")
    assert so(load_profile(str(path)))


def test_another_kind_of_identity_takes_away_what_the_one_before_had(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "extends: iav-v1\n"
        "identity:\n"
        "  {kind: oidc, password: null, admins: null, issuer: 'https://id.example.com', client_secret: {env: S},\n"
        "   roles: {staff: {memory: {guarantee: 1Gi, limit: 4Gi}}}}\n"
        "checks: {password: {env: P}}\n"
    )
    allowance = load_profile(str(path)).allowances["staff"]
    assert (allowance.memory.limit, allowance.cpu.limit, allowance.gpus) == ("4Gi", "1", 1)


KEYCLOAK = "{kind: keycloak, password: null, admins: null, issuer: 'https://id.example.com/realms/x', "


@pytest.mark.parametrize(
    ("identity", "key", "said"),
    [
        ("{kind: ldap}", "identity.kind", "found 'ldap', allowed is 'dummy', 'shared-password', 'oidc', 'keycloak'"),
        (KEYCLOAK + "roles: {user: {}}}", "identity.deployer", "is missing"),
        (KEYCLOAK + "roles: {user: {cpuu: 1}}}", "identity.roles.user.cpuu", "did you mean cpu?"),
        (KEYCLOAK + "roles: {User: {}}}", "identity.roles.User", "found 'User'"),
        (KEYCLOAK + "roles: {}}", "identity.roles", "at least 1 item"),
        (KEYCLOAK + "deployer: {client_secret: hunter2}}", "identity.deployer.client_secret", "found (hidden)"),
        (KEYCLOAK + "deployer: {client_secret: {env: S}}, roles: {u: {}}}", "", "needs checks.password"),
    ],
)
def test_a_mistake_in_an_identity_names_its_key(tmp_path: Path, identity: str, key: str, said: str) -> None:
    found = _load(tmp_path / "bad.yaml", f"extends: iav-v1\nidentity: {identity}\n")
    assert any(line.startswith(f"bad.yaml:2: {key}: ") or not key for line in found if said in line), found


def test_the_schema_for_editors_is_up_to_date_and_holds_the_profiles() -> None:
    schema = profile_schema()
    assert json.loads(FILE.read_text()) == schema, "run python -m config.schema"
    for name in profile_names():
        jsonschema.validate(YAML(typ="safe").load(FOLDER / f"{name}.yaml"), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"extends": "iav-v1", "imagee": {}}, schema)


def test_every_field_is_described() -> None:
    schema = Hub.model_json_schema()
    parts = {"Hub": schema, **schema["$defs"]}
    fields = [(part, name, field) for part, one in parts.items() for name, field in one.get("properties", {}).items()]
    assert [f"{part}.{name}" for part, name, field in fields if not field.get("description")] == []
    leaves = [(p, n, f) for p, n, f in fields if "$ref" not in str(f) and f.get("type") != "boolean"]
    assert [f"{part}.{name}" for part, name, field in leaves if not field.get("examples")] == []


_leaf = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("2 cores"))
_value = st.recursive(_leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
_whole = Hub.model_dump(load_profile("iav-v1"), mode="json", exclude_none=True)
_paths = sorted(flatten(_whole)) + sorted({path.rsplit(".", 1)[0] for path in flatten(_whole) if "." in path})


def _mutated(path: str, value: Any, *, delete: bool) -> dict[str, Any]:
    """A valid profile with one place of it deleted, or holding something else."""
    document = json.loads(json.dumps(_whole))
    *parents, last = path.split(".")
    place = document
    for parent in parents:
        place = place[parent]
    if delete:
        del place[last]
    else:
        place[last] = value
    return document


_documents = st.one_of(
    st.builds(_mutated, st.sampled_from(_paths), _value, delete=st.booleans()),
    st.builds(lambda path: _mutated(f"{path}x", 1, delete=False), st.sampled_from(_paths)),
    _value,
).map(lambda document: json.dumps(document).encode())


@settings(max_examples=MALFORMED, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.one_of(_documents, st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_no_malformed_profile_is_more_than_a_list_of_mistakes(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "malformed.yaml"
    path.write_bytes(content)
    try:
        outcome: Hub | BadProfile = load_profile(str(path))
    except BadProfile as error:
        outcome = error
    assert isinstance(outcome, Hub) or outcome.mistakes
