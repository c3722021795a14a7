"""Scans by the sandbox's Harbor, and the gate: what passes, what does not, and what is said of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.spec import Hub
from tasks.core.errors import Permanent
from tasks.registry.scan import ScanReport, require_clean, scan_image
from tests.sandbox.conftest import Sandbox
from tests.sandbox.registry.conftest import ESCAPED, Admin, Log, changed, now

BAD: dict[str, Any] = {"id": "CVE-2026-1", "severity": "Critical", "package": "openssl", "version": "3.0.1"}
MILD: dict[str, Any] = {"id": "CVE-2026-2", "severity": "Low", "package": "zlib", "version": "1.2", "fix_version": "2"}
USUAL = {"scanner": True, "scan_ends": "Success", "scan_seconds": 1.0}

Scanned = Callable[..., str]


@pytest.fixture
def scanned(sandbox: Sandbox, admin: Admin, ready: Hub) -> Generator[Scanned, None, None]:
    """Pushes an image in which a scan will find this; returns its digest."""
    folder = sandbox.paths.harbor / "scans"
    folder.mkdir(exist_ok=True)
    files = []

    def push(*vulnerabilities: dict[str, Any]) -> str:
        digest = admin.push(ready, "v1", f"{ready.name} {len(files)}".encode())
        files.append(folder / f"{digest.replace(':', '-')}.json")
        files[-1].write_text(json.dumps({"vulnerabilities": vulnerabilities}))
        return digest

    yield push
    admin.set(**USUAL)
    for file in files:
        file.unlink()


def scans(admin: Admin, since: float) -> int:
    rows = admin.ask("GET", "/test/requests", params={"since": since}).json()
    return len([row for row in rows if row["method"] == "POST" and row["path"].endswith("/scan")])


def stop_soon(admin: Admin, hub: Hub, digest: str) -> threading.Timer:
    path = f"/projects/{hub.name}/repositories/{ESCAPED}/artifacts/{digest}/scan/stop"
    timer = threading.Timer(2, lambda: admin.api("POST", path, json={"scan_type": "vulnerability"}))
    timer.start()
    return timer


def test_an_image_is_scanned_once_and_judged_each_time(admin: Admin, ready: Hub, scanned: Scanned, log: Log) -> None:
    digest, started = scanned(BAD, MILD), now()
    report = scan_image.fn(ready, digest)
    assert (report.scanner, report.verdict.passed) == (True, False)
    assert [(row.id, str(row.decision)) for row in report.rows] == [
        ("CVE-2026-1", "stops"),
        ("CVE-2026-2", "below the threshold"),
    ]
    assert report.message == "2 vulnerabilities were found (1 Critical, 1 Low), and 1 of them stops the image"
    assert [said for said in log.said if said.startswith("the scan is")]
    with pytest.raises(Permanent) as told:
        require_clean(report)
    assert str(told.value) == (
        f"Harbor: let {report.image} pass the gate: {report.message}\n"
        "    - CVE-2026-1: Critical, openssl 3.0.1, not mended yet; it is Critical or worse, and nobody allowed it\n"
        "  What to do: build the image anew with versions in which they are mended; or, when one does no harm here,"
        " allow it in registry.harbor.gate.allowed until a day, with the reason"
    )
    today = datetime.now(UTC).date()
    for until, passed in ((today, True), (today - timedelta(days=1), False)):
        allowed = [{"id": "CVE-2026-1", "until": str(until), "reason": "never called"}]
        again = scan_image.fn(changed(ready, gate={"allowed": allowed}), digest)
        assert again.verdict.passed is passed
    assert scan_image.fn(changed(ready, gate={"severity": None}), digest).verdict.passed
    assert not scan_image.fn(changed(ready, gate={"severity": "Low"}), digest).verdict.passed
    assert scans(admin, started) == 1


def test_an_image_in_which_nothing_was_found_passes(ready: Hub, scanned: Scanned) -> None:
    report = scan_image.fn(ready, scanned())
    require_clean(report)
    assert report == ScanReport(report.image, True, report.verdict, "no vulnerability was found")


def test_a_scan_that_runs_already_is_waited_for(admin: Admin, ready: Hub, scanned: Scanned) -> None:
    admin.set(scan_seconds=4.0)
    digest = scanned(MILD)
    started = now()
    path = f"/projects/{ready.name}/repositories/{ESCAPED}/artifacts/{digest}/scan"
    admin.api("POST", path, json={"scan_type": "vulnerability"})
    assert scan_image.fn(ready, digest).verdict.passed
    assert scans(admin, started) == 1


def test_a_scan_that_fails_is_tried_once_more_and_no_more(admin: Admin, ready: Hub, scanned: Scanned, log: Log) -> None:
    admin.set(scan_ends="Error")
    digest, started = scanned(BAD), now()
    with pytest.raises(Permanent, match=r"2 times it ended with Error\n.*read the scan's log in Harbor"):
        scan_image.fn(ready, digest)
    assert scans(admin, started) == 2
    assert log.said.count("the scan ended with Error") == 2
    admin.set(scan_ends="Success")
    assert scan_image.fn(ready, digest).rows
    assert scans(admin, started) == 3


def test_a_scan_that_somebody_stopped_is_tried_once_more(admin: Admin, ready: Hub, scanned: Scanned) -> None:
    admin.set(scan_seconds=5.0)
    digest, started = scanned(MILD), now()
    timer = stop_soon(admin, ready, digest)
    assert scan_image.fn(ready, digest).rows
    timer.join()
    assert scans(admin, started) == 2


def test_a_scan_that_never_ends_is_given_up(admin: Admin, ready: Hub, scanned: Scanned) -> None:
    admin.set(scan_ends="never")
    digest = scanned(BAD)
    hub = changed(ready, gate={"timeout": "3s"})
    started = time.monotonic()
    with pytest.raises(Permanent, match=r"not within 3 s: the scan is Running\n.*stop the scan there"):
        scan_image.fn(hub, digest)
    assert time.monotonic() - started < 10
    timer = stop_soon(admin, ready, digest)
    timer.join()
    admin.set(scan_ends="Success")
    assert scan_image.fn(hub, digest).rows


@pytest.mark.parametrize(("choice", "passed"), [("warn", True), ("fail", False)])
def test_without_a_scanner_the_profile_decides(
    admin: Admin, ready: Hub, scanned: Scanned, choice: str, passed: bool
) -> None:
    digest = scanned(BAD)
    admin.set(scanner=False)
    report = scan_image.fn(changed(ready, gate={"without_scanner": choice}), digest)
    assert (report.scanner, report.verdict.passed, report.rows) == (False, passed, ())
    assert "not scanned: 412 PRECONDITION no available scanner" in report.message
    if not passed:
        with pytest.raises(Permanent, match="install a scanner"):
            require_clean(report)


def test_an_image_that_is_gone_is_told(ready: Hub) -> None:
    with pytest.raises(Permanent, match=r"it is not in the repository of image.reference"):
        scan_image.fn(ready, "sha256:" + "0" * 64)
