"""The stand-in chart takes nothing that the published chart would refuse.

Both schemas are walked side by side: what ours takes at any place, the published one takes there too, and where
ours is closed to unknown keys, so is the published one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from config.images import PinnedImage, PinnedImages
from config.oidc import Endpoints, SignIn
from config.profiles import load_profile, profile_names
from config.server import Gpu
from tasks.release.values import WantedValues, values_for

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deployments" / "sandbox" / "chart"
CONTRACT = ROOT.parent / "shared" / "data" / "z2jh-values.schema.yaml"

Json = Any
Schema = dict[str, Json]

PROBES: list[Json] = [
    None, True, False, 0, -1, 1.5, "", "text", [], ["x"], [1], [None], [{}], [{"name": "x"}],
    {}, {"x": "y"}, {"x": 1}, {"x": None}, {"x": {}}, {"x": []}, {"X": {"y": 1}},
]  # fmt: skip
"""One value of each shape, to be tried in every place."""

SAMPLES = {
    "a port of the node": "{proxy: {service: {type: NodePort, nodePorts: {http: 30080}}}}",
    "an image by digest": "{hub: {image: {name: registry.example.com/hub@sha256, tag: 0f1e}}}",
    "a database that outlives the release": "{hub: {db: {pvc: {annotations: {helm.sh/resource-policy: keep}}}}}",
    "a password from a Secret": "{hub: {extraEnv: {P: {valueFrom: {secretKeyRef: {name: n, key: k}}}}}}",
    "an authenticator": "{hub: {config: {DummyAuthenticator: {password: x}}, extraConfig: {a: 'c.X.y = 1'}}}",
    "a culler": "{cull: {enabled: true, timeout: 600, every: 60}}",
    "an ingress": "{ingress: {enabled: true, hosts: [h], ingressClassName: nginx, tls: [{hosts: [h], secretName: t}]}}",
    "own TLS": "{proxy: {https: {enabled: true, type: secret, secret: {name: t}}}}",
    "limits": "{singleuser: {cpu: {limit: 1, guarantee: 0.1}, memory: {limit: 1073741824, guarantee: 256M}}}",
    "a shared volume": "{singleuser: {storage: {extraVolumes: [{name: s}], extraVolumeMounts: [{name: s}]}}}",
    "a pull secret": "{imagePullSecret: {create: true, registry: r, username: u, password: p}}",
    "a file": "{hub: {extraFiles: {f: {mountPath: /etc/f.json, data: {a: 1}, mode: 256}}}}",
}
REFUSED = {
    "a key that nobody knows": "{hub: {imagePullPolicy: Always}}",
    "a misplaced section": "{hub: {config: {loadRoles: {}}}}",
    "a number as an annotation": "{hub: {annotations: {a: 1}}}",
    "a quantity where a number belongs": "{singleuser: {cpu: {limit: 500m}}}",
    "a file with two contents": "{hub: {extraFiles: {f: {mountPath: /f, stringData: a, binaryData: YQ==}}}}",
    "an unknown key of a pull secret": "{imagePullSecret: {create: true, registry: r, username: u, password: p, x: y}}",
    "a pull secret without a registry": "{imagePullSecret: {create: true, username: u, password: p}}",
}


class Place(NamedTuple):
    """A place in the values, and what each schema says of it."""

    path: str
    ours: Schema
    contract: Schema


@cache
def ours() -> Schema:
    schema = json.loads((CHART / "values.schema.json").read_text())
    return _without_references(schema, schema["definitions"])


@cache
def contract() -> Schema:
    if not CONTRACT.is_file():
        pytest.fail(f"the published chart's schema is missing: put jupyterhub 4.4.0's values.schema.yaml at {CONTRACT}")
    return YAML(typ="safe").load(CONTRACT)


def _without_references(node: Json, definitions: Schema) -> Json:
    if isinstance(node, list):
        return [_without_references(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _without_references(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {key: _without_references(value, definitions) for key, value in node.items()}


def places(path: str, mine: Schema, theirs: Schema) -> Iterator[Place]:
    """Every place that our schema names. Fails at one that the published schema does not have."""
    yield Place(path, mine, theirs)
    known = theirs.get("properties", {})
    for key, child in mine.get("properties", {}).items():
        assert key in known or theirs.get("additionalProperties") is not False, f"{path}.{key} is ours alone"
        yield from places(f"{path}.{key}", child, known.get(key, {}))


def values_with(text: str) -> Json:
    return over_the_defaults(YAML(typ="safe").load(text))


def over_the_defaults(values: Json) -> Json:
    """The chart's defaults with values over them, as Helm merges them."""
    return _merged(YAML(typ="safe").load(CHART / "values.yaml"), values)


def _merged(below: Json, above: Json) -> Json:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: _merged(below.get(key), value) for key, value in above.items()}


def faults(schema: Schema, value: Json) -> list[str]:
    return [f"{fault.json_path}: {fault.message}" for fault in Draft7Validator(schema).iter_errors(value)]


@pytest.mark.parametrize("sample", ["{}", *SAMPLES.values()], ids=["the defaults", *SAMPLES])
def test_both_take(sample: str) -> None:
    values = values_with(sample)
    assert faults(ours(), values) == []
    assert faults(contract(), values) == []


@pytest.mark.parametrize("profile", profile_names())
def test_both_take_what_the_release_gives_them(profile: str) -> None:
    image = PinnedImage("registry.example.com", "jupyterhub/image", "sha256:" + "0f" * 32)
    endpoints = Endpoints(*["https://id.example.com"] * 5)
    hub, images = load_profile(profile), PinnedImages(image, image, image)
    values = values_for(WantedValues(hub, images, "mark", Gpu(), SignIn(endpoints, "mark"), "PEM"))
    assert faults(ours(), over_the_defaults(values)) == []
    assert faults(contract(), over_the_defaults(values)) == []


@pytest.mark.parametrize("sample", REFUSED.values(), ids=list(REFUSED))
def test_both_refuse(sample: str) -> None:
    values = values_with(sample)
    assert faults(ours(), values)
    assert faults(contract(), values)


def test_what_ours_takes_the_published_one_takes() -> None:
    for place in places("", ours(), contract()):
        mine, theirs = Draft7Validator(place.ours), Draft7Validator(place.contract)
        for value in [*PROBES, *place.ours.get("enum", [])]:
            assert not mine.is_valid(value) or theirs.is_valid(value), f"{place.path} must refuse {value!r}"


def test_what_the_published_one_requires_ours_requires() -> None:
    for place in places("", ours(), contract()):
        missing = set(place.contract.get("required", [])) - set(place.ours.get("required", []))
        assert not missing, f"{place.path} must require {missing}"


def test_an_unknown_key_is_refused_wherever_the_published_one_refuses_it() -> None:
    unknown = {"hubwright-unknown": None}
    for place in places("", ours(), contract()):
        if place.contract.get("additionalProperties") is False:
            assert any("hubwright-unknown" in fault for fault in faults(place.ours, unknown)), place.path
