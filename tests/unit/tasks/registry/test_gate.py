"""The gate: what each vulnerability does to an image, and why; and what is said of an image that does not pass."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from config.registry import Gate, Severity
from tasks.core.errors import Permanent
from tasks.registry.gate import Decision, Verdict, judge
from tasks.registry.scan import ScanReport, require_clean
from tasks.registry.state import Vulnerability

TODAY = date(2026, 11, 23)


def found(name: str, severity: Severity, package: str = "openssl", fix: str = "") -> Vulnerability:
    return Vulnerability(name, severity, package, "1.0", fix, f"https://cve.example/{name}")


def gate_with(severity: Any = "Critical", *allowed: tuple[str, str]) -> Gate:
    rows = [{"id": name, "until": until, "reason": "never called"} for name, until in allowed]
    return Gate.model_validate({"severity": severity, "allowed": rows})


@pytest.mark.parametrize("threshold", Severity)
@pytest.mark.parametrize("severity", Severity)
def test_from_the_threshold_on_a_vulnerability_stops(severity: Severity, threshold: Severity) -> None:
    verdict = judge([found("CVE-1", severity)], gate_with(threshold), TODAY)
    assert verdict.passed is (list(Severity).index(severity) < list(Severity).index(threshold))


@pytest.mark.parametrize(
    ("until", "decision", "why"),
    [
        ("2026-11-24", Decision.ALLOWED, "allowed until 2026-11-24 because never called"),
        ("2026-11-23", Decision.ALLOWED, "allowed until 2026-11-23 because never called"),
        ("2026-11-22", Decision.EXPIRED, "it was allowed until 2026-11-22 because never called"),
    ],
)
def test_an_allowance_holds_to_the_end_of_its_last_day(until: str, decision: Decision, why: str) -> None:
    verdict = judge([found("CVE-1", Severity.CRITICAL)], gate_with("High", ("CVE-1", until)), TODAY)
    [row] = verdict.rows
    assert (row.decision, row.why) == (decision, why)
    assert verdict.passed is (decision is Decision.ALLOWED)


def test_an_allowance_is_for_one_vulnerability_in_every_package() -> None:
    both = [found("CVE-1", Severity.CRITICAL, "a"), found("CVE-1", Severity.CRITICAL, "b")]
    other = found("CVE-2", Severity.CRITICAL)
    assert judge(both, gate_with("High", ("CVE-1", "2027-01-01")), TODAY).passed
    verdict = judge([*both, other], gate_with("High", ("CVE-1", "2027-01-01")), TODAY)
    assert [row.id for row in verdict.stopping] == ["CVE-2"]


def test_without_a_threshold_everything_passes_and_is_shown() -> None:
    verdict = judge([found("CVE-1", Severity.CRITICAL)], gate_with(None), TODAY)
    assert verdict.passed
    assert [str(row.decision) for row in verdict.rows] == ["below the threshold"]


def test_what_stops_comes_first_and_then_the_worst() -> None:
    all_of_them = [
        found("CVE-4", Severity.LOW), found("CVE-3", Severity.CRITICAL), found("CVE-1", Severity.HIGH),
        found("CVE-2", Severity.CRITICAL),
    ]  # fmt: skip
    gate = gate_with("High", ("CVE-2", "2027-01-01"))
    rows = judge(all_of_them, gate, TODAY).rows
    assert [row.id for row in rows] == ["CVE-3", "CVE-1", "CVE-2", "CVE-4"]
    assert [row.why for row in rows[1::2]] == ["it is High or worse, and nobody allowed it", "it is below High"]
    assert rows[0].link == "https://cve.example/CVE-3"


def test_nothing_found_passes() -> None:
    assert judge([], gate_with("None"), TODAY) == Verdict(True)


def test_what_stops_an_image_is_told_with_the_worst_five() -> None:
    many = [found(f"CVE-{number}", Severity.CRITICAL, fix="2.0") for number in range(7)]
    report = ScanReport("r.io/iav/x@sha256:a", True, judge(many, gate_with(), TODAY), "7 vulnerabilities were found")
    with pytest.raises(Permanent) as told:
        require_clean(report)
    lines = str(told.value).splitlines()
    assert lines[0] == "Harbor: let r.io/iav/x@sha256:a pass the gate: 7 vulnerabilities were found"
    assert lines[1].startswith("    - CVE-0: Critical, openssl 1.0, mended in 2.0; it is Critical or worse")
    assert lines[6] == "    - and 2 more"
    assert "allow it in registry.harbor.gate.allowed" in lines[7]


def test_an_image_that_passed_is_let_through_and_one_that_nobody_looked_at_is_not() -> None:
    require_clean(ScanReport("x", True, Verdict(True), ""))
    require_clean(ScanReport("x", False, Verdict(True), "not scanned"))
    with pytest.raises(Permanent, match=r"not scanned\n.*install a scanner"):
        require_clean(ScanReport("x", False, Verdict(False), "not scanned"))
