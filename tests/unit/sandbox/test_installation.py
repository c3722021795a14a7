"""What the sandbox gives to Hubwright's own chart."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from ruamel.yaml import YAML

from config.images import PinnedImage
from config.profiles import load_profile
from deployments.sandbox.installation import CHART, PROFILES_FOLDER, installation_values

IMAGE = PinnedImage("registry.test", "hubwright/flows", f"sha256:{'0' * 64}")


def test_its_values_are_such_as_the_chart_takes() -> None:
    values = json.loads(json.dumps(installation_values(IMAGE)))
    jsonschema.validate(values, json.loads((CHART / "values.schema.json").read_text()))
    assert values["hubs"] == [
        {"profile": "sandbox", "namespace": "jupyterhub"},
        {"profile": "sandbox-iav-v1", "namespace": "jupyterhub-test"},
    ]


def test_pods_have_the_files_that_the_profiles_name() -> None:
    """In the working folder of a pod, under the same paths."""
    folders = {mount["path"] for mount in installation_values(IMAGE)["mounts"]}
    assert folders == {f"{PROFILES_FOLDER}/pki", f"{PROFILES_FOLDER}/secrets"}
    named = [text for name in ("sandbox", "sandbox-iav-v1") for text in _texts(load_profile(name).model_dump())]
    files = {text for text in named if text.startswith(".sandbox/")}
    assert files
    assert {file.rsplit("/", 1)[0] for file in files} == {".sandbox/pki", ".sandbox/secrets"}


def test_its_own_profiles_say_that_a_browser_is_beside_the_flow() -> None:
    for name, text in installation_values(IMAGE)["profiles"].items():
        document = YAML(typ="safe").load(text)
        assert document == {"extends": name, "checks": {"browser": "http://localhost:9222"}}


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
