"""Phase registry, the gate: what Harbor's scanner finds in an image, and whether that lets it pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect.logging import get_run_logger

from config.spec import Hub
from config.types import parse_duration
from tasks.core.errors import Conflict, Permanent
from tasks.core.kubernetes import Kubernetes
from tasks.core.task import hub_task
from tasks.core.wait import ask_patiently, wait_until
from tasks.registry.client import Harbor
from tasks.registry.gate import Finding, Verdict, judge
from tasks.registry.images import require_image
from tasks.registry.look import as_robot
from tasks.registry.refusal import Unmet
from tasks.registry.state import BROKEN, DONE, SeenArtifact, harbor_of, place_of

ATTEMPTS = 2
LOOK_SECONDS = 1.0
SHOWN = 5


@dataclass(frozen=True)
class ScanReport:
    """What is known of an image's vulnerabilities, and what the gate says to it."""

    image: str
    scanner: bool
    """Whether there is a scanner; without one, nothing is known."""
    verdict: Verdict
    message: str

    @property
    def rows(self) -> tuple[Finding, ...]:
        """Each vulnerability with its decision, for a table."""
        return self.verdict.rows


@hub_task(name="scan image", description="Has Harbor scan an image, and holds what it finds against the gate.")
def scan_image(hub: Hub, digest: str) -> ScanReport:
    """What Harbor's scanner found in an image, and whether that lets it pass: ``require_clean`` raises if not.

    A result that is there already is used, and a scan that runs is waited for. Raises Permanent for one that
    fails twice or does not end.
    """
    say, gate = get_run_logger().info, harbor_of(hub).gate
    place = place_of(hub)
    image = f"{place.host}/{place.project}/{place.repository}@{digest}"
    with as_robot(hub, Kubernetes.connect()) as harbor:
        try:
            _scan(harbor, digest, parse_duration(gate.timeout).total_seconds(), _once(say))
        except Unmet as error:
            message = f"not scanned: {error.answered}"
            get_run_logger().warning("%s", message)
            return ScanReport(image, False, Verdict(gate.without_scanner == "warn"), message)
        found = ask_patiently(lambda: harbor.read_vulnerabilities(digest), say)
    verdict = judge(found, gate, datetime.now(UTC).date())
    return ScanReport(image, True, verdict, _summary(verdict))


def require_clean(report: ScanReport) -> None:
    """Raises Permanent, with the worst of what was found, when the gate does not let the image pass."""
    if report.verdict.passed:
        return
    asked = f"let {report.image} pass the gate"
    if not report.scanner:
        remedy = "have Harbor's administrator install a scanner (Trivy), or set registry.harbor.gate.without_scanner"
        raise Permanent("Harbor", asked, report.message, f"{remedy} to warn")
    stopping = report.verdict.stopping
    worst = "".join(f"\n    - {_line(row)}" for row in stopping[:SHOWN])
    more = f"\n    - and {len(stopping) - SHOWN} more" if len(stopping) > SHOWN else ""
    remedy = (
        "build the image anew with versions in which they are mended; or, when one does no harm here,"
        " allow it in registry.harbor.gate.allowed until a day, with the reason"
    )
    raise Permanent("Harbor", asked, f"{report.message}{worst}{more}", remedy)


def _scan(harbor: Harbor, digest: str, seconds: float, say: Callable[[str], None]) -> None:
    """There is a result of a scan that went well."""
    seen = require_image(harbor, digest)
    for _ in range(ATTEMPTS):
        if seen.scan == DONE:
            return
        stale = ""
        if seen.scan in ("", *BROKEN):
            stale = seen.report
            with suppress(Conflict):  # somebody else has begun one: it is as good as ours
                harbor.start_scan(digest)
        seen = _wait(harbor, digest, stale, seconds, say)
        say(f"the scan ended with {seen.scan}")
    if seen.scan != DONE:
        remedy = "read the scan's log in Harbor (the image's page, Vulnerabilities), and that of its scanner"
        raise Permanent("Harbor", f"scan {digest}", f"{ATTEMPTS} times it ended with {seen.scan}", remedy)


def _wait(harbor: Harbor, digest: str, stale: str, seconds: float, say: Callable[[str], None]) -> SeenArtifact:
    """The image when a scan of it has ended, other than the one with the report ``stale``."""
    seen: list[SeenArtifact] = []

    def missing() -> str:
        seen[:] = [require_image(harbor, digest)]
        ended = seen[0].scan == DONE or (seen[0].scan in BROKEN and seen[0].report != stale)
        return "" if ended else f"the scan is {seen[0].scan or 'not begun'}"

    remedy = (
        "look at Harbor's job service and its scanner, and stop the scan there (the image's page, Stop scan);"
        " if scans take so long, raise registry.harbor.gate.timeout"
    )
    asked = f"scan {digest}"
    wait_until("Harbor", asked, missing, seconds=seconds, remedy=remedy, say=say, every=LOOK_SECONDS)
    return seen[0]


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Says what is new."""
    last: list[str] = []

    def say_new(text: str) -> None:
        if last[-1:] != [text]:
            say(text)
            last.append(text)

    return say_new


def _summary(verdict: Verdict) -> str:
    if not verdict.rows:
        return "no vulnerability was found"
    counts = Counter(row.severity for row in verdict.rows)
    listed = ", ".join(f"{count} {severity}" for severity, count in counts.most_common())
    stopping = len(verdict.stopping)
    stops = f"{stopping} of them {'stop' if stopping > 1 else 'stops'} the image" if stopping else "none stops it"
    return f"{len(verdict.rows)} vulnerabilities were found ({listed}), and {stops}"


def _line(row: Finding) -> str:
    mended = f"mended in {row.fix_version}" if row.fix_version else "not mended yet"
    return f"{row.id}: {row.severity}, {row.package} {row.version}, {mended}; {row.why}"
