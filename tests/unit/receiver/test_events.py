"""What is read from Harbor's events, in both formats; and that nothing that is sent breaks the reading."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.receiver.events import Event, Ignored, Kind, Malformed, parse_event
from tests.unit.receiver.receivers import DIGEST, FIXTURES, sample

REPOSITORY = "iav/base-notebook"
SCANNED = "sha256:8ae6e51a5282909dcb268a987680f5c7582fa16a117f2f4637765f7e8bad1111"
TYPE, ABOUT_DIGEST = "events of this type lead to no deploy", "it is about a digest, without a tag"
MEANT: dict[str, Event | str] = {
    "delete-artifact": TYPE,
    "delete-artifact-untagged": TYPE,
    "push-artifact-digest": ABOUT_DIGEST,
    "push-artifact-tagged": Event(Kind.PUSHED, REPOSITORY, "v1", DIGEST, 1767225660),
    "scanning-completed": Event(Kind.SCANNED, REPOSITORY, "v1", SCANNED, 1767225692),
    "scanning-completed-clean": Event(Kind.SCANNED, REPOSITORY, "v1", SCANNED, 1767225692),
    "scanning-completed-index-child": ABOUT_DIGEST,
    "scanning-completed-sbom": "it is about a list of parts (SBOM)",
    "scanning-completed-scan-all": Event(Kind.SCANNED, REPOSITORY, "v1", SCANNED, 1767225692),
    "scanning-failed": TYPE,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def parsed(document: Any) -> Event | Ignored:
    return parse_event(json.dumps(document).encode())


def pushed(**resource: Any) -> dict[str, Any]:
    """A push in Harbor's format Default, with fields of its image changed."""
    document = sample("push-artifact-tagged-default")
    document["event_data"]["resources"][0].update(resource)
    return document


def test_every_example_of_harbors_is_meant_here() -> None:
    names = {path.stem.removesuffix("-default").removesuffix("-cloudevents") for path in FIXTURES.iterdir()}
    assert names == {*MEANT}


@pytest.mark.parametrize("name", MEANT)
def test_both_formats_say_the_same(name: str) -> None:
    meant = MEANT[name]
    default, cloud = parsed(sample(f"{name}-default")), parsed(sample(f"{name}-cloudevents"))
    if isinstance(meant, str):
        assert default == cloud == Ignored(meant)
        return
    assert default == meant
    assert isinstance(cloud, Event)
    assert cloud.id == sample(f"{name}-cloudevents")["id"]
    assert (cloud.kind, cloud.repository, cloud.tag, cloud.digest, cloud.occurred_at) == (
        meant.kind, meant.repository, meant.tag, meant.digest, meant.occurred_at,
    )  # fmt: skip


@pytest.mark.parametrize("tag", [f"sha256-{'a' * 64}{end}" for end in (".sig", ".att", ".sbom", "")])
def test_what_belongs_to_an_image_is_no_image(tag: str) -> None:
    assert isinstance(parsed(pushed(tag=tag)), Ignored)
    assert isinstance(parsed(pushed(tag=f"x{tag}")), Event)


@pytest.mark.parametrize("resource", [{"tag": None}, {"tag": ""}, {"tag": DIGEST}, {"resource_url": f"r/i@{DIGEST}"}])
def test_a_push_without_a_tag_is_ignored(resource: dict[str, Any]) -> None:
    assert parsed(pushed(**resource)) == Ignored(ABOUT_DIGEST)


def test_other_events_of_harbors_need_no_image() -> None:
    assert parsed({"type": "QUOTA_EXCEED", "occur_at": 1, "event_data": {}}) == Ignored(TYPE)


@pytest.mark.parametrize(("body", "why"), [
    (b"", "not JSON"), (b"{", "not JSON"), (b"\xff", "not JSON"), (b"[" * 100_000, "not JSON"),
    (b'{"type": ' + b"9" * 5000 + b"}", "not JSON"), (b"[]", "no JSON object"), (b"{}", "type"),
    (b'{"type": "PUSH_ARTIFACT"}', "neither of Harbor's formats"),
    (b'{"type": "PUSH_ARTIFACT", "event_data": []}', "event_data"),
    (b'{"type": "PUSH_ARTIFACT", "event_data": {}, "occur_at": 1.5}', "occur_at"),
    (b'{"type": "PUSH_ARTIFACT", "event_data": {}, "occur_at": true}', "occur_at"),
    (b'{"type": "PUSH_ARTIFACT", "event_data": {"resources": []}, "occur_at": 1}', "resources"),
    (b'{"type": "harbor.artifact.pushed", "specversion": "1.0", "data": {}, "time": "now"}', "time"),
    (b'{"type": "harbor.artifact.pushed", "specversion": "1.0", "data": {}, "time": "0001-01-01"}', "time|id"),
])  # fmt: skip
def test_what_is_no_event_is_said_without_quoting_it(body: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why) as caught:
        parse_event(body)
    assert len(str(caught.value)) < 80


@pytest.mark.parametrize("tag", ["v1\nforged line", "\ud800", "x" * 600, {"a": 1}])
def test_a_name_that_nothing_has_goes_no_further(tag: Any) -> None:
    with pytest.raises(Malformed):
        parsed(pushed(tag=tag))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_whatever_bytes_are_sent_they_are_an_event_or_malformed(body: bytes) -> None:
    with suppress(Malformed):
        assert isinstance(parse_event(body), Event | Ignored)


@settings(deadline=None)
@given(st.sampled_from(sorted(MEANT)), st.sampled_from(["default", "cloudevents"]), st.data())
def test_whatever_stands_in_a_field_it_is_an_event_or_malformed(name: str, form: str, data: st.DataObject) -> None:
    document = sample(f"{name}-{form}")
    place: Any = document
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(JSON)
    with suppress(Malformed):
        assert isinstance(parsed(document), Event | Ignored)
