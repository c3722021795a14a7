"""The tag that a hub follows: what it stands for, which deploys are the same, and what leaves a hub as it is."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from config.registry import Severity
from config.spec import Hub
from tasks.core.errors import Transient
from tasks.core.record import ReleaseRecord
from tasks.registry.client import Harbor
from tasks.registry.following import (
    Followed,
    follows,
    read_followed,
    redeploy_key,
    why_left,
    why_not,
    why_not_followed,
)
from tasks.registry.parsing import parse_artifact
from tasks.registry.state import SeenArtifact, Vulnerability
from tests.harbors import NOW, REFERENCE, hub_with

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
TODAY = NOW.date()
PUSHED = Followed(B, NOW)
CVE = Vulnerability("CVE-1", Severity.CRITICAL, "openssl", "3.0", "", "")


def hub(name: str = "lab", reference: str = REFERENCE, **webhook: Any) -> Hub:
    part = {"url": "https://hooks.example.internal/harbor", "authorization": {"env": "NONE"}, **webhook}
    return hub_with(name, reference, webhook=part)


class Seen:
    """A Harbor that has this under the tag."""

    def __init__(self, artifact: SeenArtifact | None, found: tuple[Vulnerability, ...] = ()) -> None:
        self.artifact = artifact
        self.found = found
        self.asked: list[str] = []

    def read_artifact(self, reference: str) -> SeenArtifact | None:
        self.asked.append(reference)
        return self.artifact

    def read_vulnerabilities(self, reference: str) -> tuple[Vulnerability, ...]:
        self.asked.append(reference)
        return self.found


def read(hub: Hub, seen: Seen) -> Followed | None:
    return read_followed(hub, cast("Harbor", seen))


def record(minutes: int, image: str, revision: int = 1, origin: int | None = None) -> ReleaseRecord:
    """A release that was recorded so long after the push."""
    return ReleaseRecord(
        hub="lab", release="jupyterhub", revision=revision, chart="c", chart_digest=A, values_hash=A, origin=origin,
        image=f"registry.example.com/iav/tools/base-notebook@{image}", checks=(),
        recorded_at=NOW + timedelta(minutes=minutes),
    )  # fmt: skip


def test_what_the_tag_stands_for_is_read_with_the_time_of_the_tag_and_not_of_the_image() -> None:
    tags = [{"name": "v0", "push_time": "2026-01-01T00:00:00Z"}, {"name": "v1", "push_time": "2026-02-01T00:00:00.5Z"}]
    seen = Seen(parse_artifact({"digest": A, "push_time": "2026-01-01T00:00:00Z", "tags": tags}))
    assert read(hub(), seen) == Followed(A, datetime(2026, 2, 1, 0, 0, 0, 500000, UTC))
    assert seen.asked == ["v1"]
    assert read(hub(), Seen(None)) is None


def test_a_tag_that_is_being_moved_is_asked_for_again() -> None:
    with pytest.raises(Transient, match="left the image"):
        read(hub(), Seen(SeenArtifact(A, {}, "", "")))


@pytest.mark.parametrize(("deploy_on", "scan", "found"), [
    ("push", "Success", ()), ("scan", "Running", ()), ("scan", "Success", (CVE,)),
])  # fmt: skip
def test_findings_are_read_for_a_hub_that_awaits_scans_once_there_are_any(
    deploy_on: str, scan: str, found: Any
) -> None:
    seen = Seen(SeenArtifact(A, {"v1": NOW}, scan, ""), (CVE,))
    assert read(hub(deploy_on=deploy_on), seen) == Followed(A, NOW, scan, found)


def test_a_key_is_of_a_hub_a_digest_and_the_time_of_the_tag_whatever_the_zone_it_is_told_in() -> None:
    keys = [
        redeploy_key(hub(), PUSHED),
        redeploy_key(hub("other"), PUSHED),
        redeploy_key(hub(), replace(PUSHED, digest=A)),
        redeploy_key(hub(), replace(PUSHED, pushed_at=NOW + timedelta(milliseconds=1))),
    ]
    assert len({*keys}) == 4
    there = NOW.astimezone().replace(tzinfo=None).astimezone()
    assert redeploy_key(hub(), Followed(B, there, "Success", (CVE,))) == keys[0]


@pytest.mark.parametrize(("scan", "found", "why"), [
    ("", (), "none was begun"), ("Pending", (), "not over: Pending"), ("Stopped", (), "ended with Stopped"),
    ("Error", (), "ended with Error"), ("Success", (CVE,) * 5, "CVE-1 in openssl, .* and 2 more"),
    ("Success", (replace(CVE, severity=Severity.LOW),), "^$"), ("Success", (), "^$"),
])  # fmt: skip
def test_a_hub_that_awaits_scans_is_deployed_after_one_that_the_gate_lets_pass(scan: str, found: Any, why: str) -> None:
    followed = Followed(A, NOW, scan, found)
    assert why_not(hub(), followed, TODAY) == ""
    reason = why_not(hub(deploy_on="scan"), followed, TODAY)
    assert re.search(why, reason)


def test_an_allowance_lets_an_image_be_deployed_until_its_day() -> None:
    allowed = {"allowed": [{"id": "CVE-1", "until": TODAY.isoformat(), "reason": "never called"}]}
    one = hub_with(webhook=hub(deploy_on="scan").registry.harbor.webhook.model_dump(), gate=allowed)  # type: ignore[union-attr]
    followed = Followed(A, NOW, "Success", (CVE,))
    assert why_not(one, followed, TODAY) == ""
    assert why_not(one, followed, TODAY + timedelta(days=1)) != ""


def test_a_hub_follows_its_own_tag_alone_and_only_with_a_webhook() -> None:
    assert follows(hub(), "iav/tools/base-notebook", "v1")
    assert not follows(hub(), "iav/tools/base-notebook", "v2")
    assert not follows(hub(), "iav/base-notebook", "v1")
    assert "webhook" in why_not_followed(hub_with())
    by_digest = hub(reference=REFERENCE.replace(":v1", f"@{A}"))
    assert "by digest" in why_not_followed(by_digest)
    assert not follows(by_digest, "iav/tools/base-notebook", "")


@pytest.mark.parametrize(("records", "why"), [
    ([record(-9, A)], ""),
    ([record(-9, B)], "the hub runs it"),
    ([record(9, B, 2), record(-9, A)], "the hub runs it"),
    ([], "no release on record"),
    # Somebody went back, after the push or before it.
    ([record(9, A, 3, 1), record(-5, C, 2), record(-9, A)], "goes back to 1"),
    ([record(-1, A, 3, 1), record(-5, C, 2), record(-9, A)], ""),
    # A push that was never deployed, and then somebody went back: also to what the hub ran at the push.
    ([record(9, A, 2, 1), record(-9, A)], "goes back to 1"),
    # Another image was deployed by hand; or one that the hub ran anyway was deployed again, by a schedule.
    ([record(9, C, 2), record(-9, A)], "runs sha256:ccc"),
    ([record(9, A, 2), record(-9, A)], ""),
    # Nothing is on record from before the push.
    ([record(9, A)], "runs sha256:aaa"),
    # Records of a release that somebody uninstalled have higher numbers, and are older.
    ([record(-99, C, 7), record(-9, A)], ""),
    # What was deployed and then gone back from is not deployed again.
    ([record(9, A, 3, 1), record(5, B, 2), record(-9, A)], "goes back to 1"),
])  # fmt: skip
def test_a_look_makes_good_what_was_missed_and_leaves_what_a_person_decided(
    records: list[ReleaseRecord], why: str
) -> None:
    reason = why_left(PUSHED, records)
    assert why in reason
    assert bool(reason) is bool(why)
