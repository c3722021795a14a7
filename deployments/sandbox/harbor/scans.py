"""Scans whose results stand in a file: for vulnerabilities, and for the list of an image's parts."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from typing import Any

from starlette.responses import JSONResponse, Response

from deployments.sandbox.harbor.answers import Refusal, answer
from deployments.sandbox.harbor.asks import Ask, Harbor, Routes
from deployments.sandbox.harbor.inventory import found
from deployments.sandbox.harbor.registry import attach_sbom
from deployments.sandbox.harbor.store import Row, now, seconds
from deployments.sandbox.harbor.webhooks import announce

MIME = "application/vnd.security.vulnerability.report; version=1.1"
SCANNER = {"name": "Trivy", "vendor": "Aqua Security", "version": "v0.69.3"}
SEVERITIES = ("None", "Unknown", "Negligible", "Low", "Medium", "High", "Critical")
FINAL = {"Success": "SCANNING_COMPLETED", "Error": "SCANNING_FAILED", "Stopped": "SCANNING_STOPPED"}
RESOURCES = {"vulnerability": "scan", "sbom": "sbom"}
DEFAULT_RESULTS = "default.json"
ARTIFACT = "/projects/{project}/repositories/{repository}/artifacts/{reference}"


def overviews(ask: Ask, artifact: Row) -> Row:
    """What a request asks to be told of an artifact's scans; nothing of kinds that never ran."""
    shown: Row = {}
    for kind, key in (("vulnerability", "scan_overview"), ("sbom", "sbom_overview")):
        scan = _latest(ask.harbor, artifact, kind)
        if scan and ask.flag(f"with_{key}"):
            shown[key] = _summaries(scan) if kind == "vulnerability" else _sbom(scan)
    return shown


def _latest(harbor: Harbor, artifact: Row, kind: str) -> Row | None:
    return next(iter(harbor.store.rows("scans", artifact_id=artifact["id"], kind=kind)[::-1]), None)


def _summaries(scan: Row) -> Row:
    done = scan["status"] == "Success"
    found = scan["vulnerabilities"]
    counts = Counter(str(item["severity"]) for item in found)
    summary = {
        "total": len(found),
        "fixable": sum(1 for item in found if item.get("fix_version")),
        "summary": dict(sorted(counts.items())),
    }
    severity = max(counts, key=SEVERITIES.index, default="None")
    about = {**_times(scan), "report_id": scan["report_id"], "scan_status": scan["status"]}
    if not done:
        return {MIME: {**about, "severity": "", "summary": None, "complete_percent": 0}}
    return {MIME: {**about, "severity": severity, "summary": summary, "scanner": SCANNER, "complete_percent": 100}}


def _sbom(scan: Row) -> Row:
    about = {**_times(scan), "scan_status": scan["status"]}
    return {**about, "sbom_digest": scan["sbom_digest"], "scanner": SCANNER} if scan["status"] == "Success" else about


def _times(scan: Row) -> Row:
    end = scan.get("end_time")
    return {
        "start_time": scan["start_time"],
        "duration": seconds(end) - seconds(scan["start_time"]) if end else 0,
        **({"end_time": end} if end else {}),
    }


def _event(scan: Row, artifact: Row) -> tuple[Row, Row]:
    """What the webhook of a scan adds to the resource, and beside it."""
    if scan["kind"] == "vulnerability":
        return {"scan_overview": _summaries(scan)}, {"scan": {"scan_type": "vulnerability"}}
    overview = {**_sbom(scan), "sbom_repository": artifact["repository_name"]}
    return {"sbom_overview": overview}, {"scan": {"scan_type": "sbom"}}


def start(harbor: Harbor, artifact: Row, kind: str, tag: str, by: tuple[str, str]) -> None:
    """A scan is under way. Raises Refusal when it cannot be."""
    if not harbor.setting("scanner"):
        raise Refusal("PRECONDITION", f"no available scanner for project: {artifact['project_id']}")
    if artifact["type"] != "IMAGE" or artifact["children"]:
        media = artifact["manifest_media_type"]
        message = f"the configured scanner {SCANNER['name']} does not support scanning artifact with mime type {media}"
        raise Refusal("BAD_REQUEST", message)
    last = _latest(harbor, artifact, kind)
    if last and last["status"] not in FINAL:
        raise Refusal("CONFLICT", "a previous scan process is running")
    scan = harbor.store.add(
        "scans", artifact_id=artifact["id"], kind=kind, status="Pending", report_id=str(uuid.uuid4()), by=list(by),
        tag=tag, start_time=now(), vulnerabilities=[], sbom_digest="",
    )  # fmt: skip
    harbor.begin(_run(harbor, artifact, scan))


def resume(harbor: Harbor) -> None:
    """What was being scanned when Harbor stopped is being scanned."""
    for scan in harbor.store.rows("scans"):
        artifact = harbor.store.one("artifacts", id=scan["artifact_id"])
        if artifact and scan["status"] not in FINAL:
            harbor.begin(_run(harbor, artifact, scan))


async def _run(harbor: Harbor, artifact: Row, scan: Row) -> None:
    for status in ("Pending", "Running"):
        if scan["status"] in FINAL:
            return
        scan["status"] = status
        await asyncio.sleep(harbor.setting("scan_seconds") / 2)
    if scan["status"] not in FINAL and harbor.setting("scan_ends") != "never":
        ends = harbor.setting("scan_ends")
        if scan["kind"] == "vulnerability":
            scan["vulnerabilities"] = _results(harbor, artifact)
        elif ends == "Success":
            scan["sbom_digest"] = await attach_sbom(harbor, artifact)
        _end(harbor, artifact, scan, ends)


def _end(harbor: Harbor, artifact: Row, scan: Row, status: str) -> None:
    scan.update(status=status, end_time=now())
    operator, request = scan["by"]
    announce(harbor, FINAL[status], artifact, scan["tag"], (operator, request), *_event(scan, artifact))


def _results(harbor: Harbor, artifact: Row) -> list[Row]:
    """Of the artifact's own file, or else of the one for all; without any, nothing was found."""
    for name in (f"{artifact['digest'].replace(':', '-')}.json", DEFAULT_RESULTS):
        file = harbor.results / name
        if file.exists():
            return json.loads(file.read_text())["vulnerabilities"]
    return []


def _kind(ask: Ask) -> str:
    kind = (ask.body or {}).get("scan_type", "vulnerability")
    return kind if kind in RESOURCES else "vulnerability"


async def _scan(ask: Ask) -> Response:
    kind, reference = _kind(ask), ask.path("reference")
    artifact = found(ask, (RESOURCES[kind], "create"))
    start(ask.harbor, artifact, kind, "" if ":" in reference else reference, ask.by)
    return Response(status_code=202)


async def _stop(ask: Ask) -> Response:
    ask.document()
    kind = _kind(ask)
    artifact = found(ask, (RESOURCES[kind], "stop"))
    last = _latest(ask.harbor, artifact, kind)
    if last is None:
        raise Refusal("BAD_REQUEST", f"no scan job for artifact digest={artifact['digest']}")
    if last["status"] not in FINAL:
        _end(ask.harbor, artifact, last, "Stopped")
    return Response(status_code=202)


async def _vulnerabilities(ask: Ask) -> Response:
    artifact = found(ask, ("artifact-addition", "read"))
    last = _latest(ask.harbor, artifact, "vulnerability")
    return JSONResponse(_report(last) if last and last["status"] == "Success" else {})


def _report(scan: Row) -> dict[str, Any]:
    summary = _summaries(scan)[MIME]
    about = {"generated_at": scan["end_time"], "scanner": SCANNER, "severity": summary["severity"]}
    return {MIME: {**about, "vulnerabilities": scan["vulnerabilities"]}}


async def _scanner(ask: Ask) -> Response:
    ask.project(("scanner", "read"))
    about = {"uuid": str(uuid.UUID(int=1)), "is_default": True, "health": "healthy", "url": "http://trivy:8080"}
    named = {**SCANNER, "adapter": SCANNER["name"]}
    return answer({**about, **named} if ask.harbor.setting("scanner") else {})


ROUTES: Routes = [
    ("GET", "/projects/{project}/scanner", _scanner),
    ("POST", ARTIFACT + "/scan", _scan),
    ("POST", ARTIFACT + "/scan/stop", _stop),
    ("GET", ARTIFACT + "/additions/vulnerabilities", _vulnerabilities),
]
