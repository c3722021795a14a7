"""The passwords of each kind of sign-in, in the values: where they are read from, and nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from config.images import PinnedImage, PinnedImages
from config.profiles import load_profile
from config.server import Gpu
from config.spec import Hub
from tasks.release.values import Values, WantedValues, values_for

IMAGES = PinnedImages(PinnedImage("10.51.0.2:5000", "iav/base-notebook", "sha256:" + "a" * 64), None, None)
SHARED = {"kind": "shared-password", "password": {"env": "P"}}


def _values(gpu: Gpu | None = None, **changed: Any) -> Values:
    hub = Hub.model_validate(load_profile("iav-v1").model_dump() | changed)
    return values_for(WantedValues(hub, IMAGES, "mark", gpu))


@pytest.mark.parametrize(
    ("identity", "keys", "traits"),
    [
        ({"kind": "dummy", "password": {"env": "P"}}, ["password"], ["DummyAuthenticator.password"]),
        (SHARED, ["password"], ["SharedPasswordAuthenticator.user_password"]),
        (
            {**SHARED, "admins": ["admin"], "admin_password": {"env": "A"}},
            ["password", "admin_password"],
            ["SharedPasswordAuthenticator.user_password", "SharedPasswordAuthenticator.admin_password"],
        ),
    ],
)
def test_each_password_goes_from_its_secret_to_its_trait(identity: Any, keys: list[str], traits: list[str]) -> None:
    hub = _values(identity=identity)["hub"]
    references = [one["valueFrom"]["secretKeyRef"] for one in hub["extraEnv"].values()]
    assert references == [{"name": "hubwright-passwords", "key": key} for key in keys]
    lines = hub["extraConfig"]["hubwright-passwords"].splitlines()
    assert lines == ["import os", *(f'c.{t} = os.environ["{e}"]' for t, e in zip(traits, hub["extraEnv"], strict=True))]
    assert hub["config"]["JupyterHub"]["authenticator_class"] == identity["kind"]
    assert hub["config"]["Authenticator"]["admin_users"] == list(identity.get("admins", []))


def test_parts_that_a_profile_leaves_out_are_left_to_the_chart() -> None:
    home = {"home": {"size": "5Gi"}}
    values = _values(storage=home, ingress=None, checks={"url": "http://hub.test"})
    assert "image" not in values["hub"]
    assert "chp" not in values["proxy"]
    assert values["ingress"] == {"enabled": False}
    assert "extraVolumes" not in values["singleuser"]["storage"]
    assert values["singleuser"]["storage"]["dynamic"] == {}
    assert values["proxy"]["service"] == {"type": "ClusterIP"}
    assert "profileList" not in values["singleuser"]


def test_gpus_are_a_choice_beside_the_standard_that_has_none() -> None:
    standard, with_gpu = _values(Gpu(resource="amd.com/gpu", count=2))["singleuser"]["profileList"]
    assert standard["default"] is True
    assert "kubespawner_override" not in standard
    assert with_gpu["kubespawner_override"] == {"extra_resource_limits": {"amd.com/gpu": "2"}}


def test_prometheus_is_let_in_from_its_namespace_alone_and_nobody_without_monitoring() -> None:
    [rule] = _values(monitoring={"namespace": "metrics"})["hub"]["networkPolicy"]["ingress"]
    [source] = rule["from"]
    assert source == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "metrics"}}}
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert _values(monitoring=None)["hub"]["networkPolicy"] == {}


def test_each_service_of_the_hub_may_do_one_thing() -> None:
    hub = _values()["hub"]
    assert {name: role["scopes"] for name, role in hub["loadRoles"].items()} == {
        "hubwright-routes": ["proxy"],
        "hubwright-metrics": ["read:metrics"],
    }
    assert hub["services"].keys() == hub["loadRoles"].keys()


def test_a_registrys_port_stays_in_the_images_name() -> None:
    image = _values()["singleuser"]["image"]
    assert f"{image['name']}:{image['tag']}" == f"10.51.0.2:5000/iav/base-notebook@sha256:{'a' * 64}"
