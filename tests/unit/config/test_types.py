"""The kinds of text, each with what it takes and what it refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from config import types
from config.secrets import SecretRef
from config.types import parse_duration, split_image

DIGEST = "sha256:" + "a" * 64
GOOD = {
    "DnsLabel": ["a", "jupyterhub-test", "x" * 63],
    "DnsSubdomain": ["a.b", "jupyterhub-test.example.internal"],
    "ReleaseName": ["jupyterhub", "x" * 53],
    "Quantity": ["0", "1", "500m", "0.5", "512Mi", "10Gi"],
    "Duration": ["90s", "10m", "1h30m", "1h0m5s"],
    "ImageReference": ["a.b/c:d", "localhost:5000/x/y:v1", f"r.io/x@{DIGEST}", f"r.io/x:v1@{DIGEST}"],
    "SemVer": ["4.4.0", "4.4.0-0.dev.git.1+abc"],
    "Sha256": [DIGEST],
    "HttpUrl": ["http://10.51.0.2:30080", "https://hub.example.com/base/"],
    "ChartRepository": ["https://hub.jupyter.org/helm-chart/", "oci://10.51.0.2:5000/charts"],
    "AbsolutePath": ["/shared", "/home/jovyan"],
    "UserName": ["admin", "a.b@c"],
}
BAD = {
    "DnsLabel": ["", "-a", "a-", "A", "a.b", "x" * 64, "a_b", "a\n"],
    "DnsSubdomain": ["", ".a", "a..b", "A.b", "x" * 254],
    "ReleaseName": ["x" * 54, "a.b"],
    "Quantity": ["", "1 Gi", "Gi", "-1", "1GiB", "one", "1\n"],
    "Duration": ["", "10", "10 min", "0s", "1d", "1m1h"],
    "ImageReference": ["", "notebook", "notebook:v1", "r.io/Upper:v1", "r.io/x", "r.io/x:", f"r.io/x@{DIGEST[:-1]}"],
    "SemVer": ["4", "4.4", ">=4.4.0", "v4.4.0"],
    "Sha256": ["sha256:abc", "a" * 64],
    "HttpUrl": ["hub.example.com", "ftp://x", "http://x?y=1"],
    "ChartRepository": ["http://plain.example.com", "file:///x"],
    "AbsolutePath": ["", "/", "shared", "/a/"],
    "UserName": ["", "Admin", "a b"],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in GOOD.items() for text in texts])
def test_takes(kind: str, text: str) -> None:
    assert TypeAdapter[Any](getattr(types, kind)).validate_python(text) == text


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD.items() for text in texts])
def test_refuses(kind: str, text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter[Any](getattr(types, kind)).validate_python(text)


def test_a_duration_is_as_long_as_it_says() -> None:
    assert parse_duration("1h30m5s") == timedelta(hours=1, minutes=30, seconds=5)


def test_an_image_is_taken_apart() -> None:
    assert split_image(f"r.io:5000/a/b:v1@{DIGEST}") == ("r.io:5000", "a/b", "v1", DIGEST)
    assert split_image("r.io/a:v1") == ("r.io", "a", "v1", None)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"env": "HUB"}, "environment variable HUB"),
        ({"file": "/x"}, "file /x"),
        ({"kubernetes": {"namespace": "n", "name": "s", "key": "k"}}, "key k of Secret n/s"),
        ({"prefect_block": "b"}, "Prefect Secret block b"),
    ],
)
def test_a_secrets_place_is_named(place: dict[str, Any], said: str) -> None:
    assert str(SecretRef.model_validate(place)) == said


@pytest.mark.parametrize("places", [{}, {"env": "A", "file": "b"}])
def test_a_secret_has_one_place(places: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one place"):
        SecretRef.model_validate(places)
