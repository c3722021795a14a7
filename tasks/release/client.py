"""Helm: the only place that runs it, and where its versions 3.14 to 4 differ."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from config.spec import Chart
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.objects import Body
from tasks.core.process import Output, run
from tasks.release.chart import digest_of, read_about
from tasks.release.state import ChartArchive, RenderedRevision, Revision
from tasks.release.values import Values

QUERY_SECONDS = 60
HISTORY_MAX = 20
REVISION = (
    "{{.Release.Version}}\n{{.Release.Info.Status}}\n{{.Release.Chart.Metadata.Name}}-{{.Release.Chart.Metadata.Version}}\n"
    '{{printf "%q" .Release.Info.Description}}\n{{.Release.Manifest}}'
)
"""All that is asked of a release in one question: each start of Helm costs as much as ten requests."""
NO_VERSION: tuple[int, int] = (0, 0)
OLDEST: tuple[int, int] = (3, 14)
_UNREACHABLE = ("connection refused", "i/o timeout", "no such host", "TLS handshake timeout", "EOF", "is unreachable")


class Helm:
    """Helm in one namespace of the cluster that the kubeconfig names.

    ``may_write`` is asked before each write and, about once a second, while it goes on; what it raises ends Helm.
    """

    def __init__(self, namespace: str, may_write: Callable[[], None] = lambda: None) -> None:
        self._namespace = namespace
        self._may_write = may_write

    def read_version(self) -> tuple[int, int]:
        """Major and minor version. Raises Permanent when Helm is missing or older than 3.14."""
        text = self._run("version", "--template", "{{.Version}}").stdout
        found = re.match(r"v(\d+)\.(\d+)\.", text)
        version = (int(found[1]), int(found[2])) if found else NO_VERSION
        if version < OLDEST:
            raise Permanent("helm", "tell its version", f"it is {text!r}", "install Helm 3.14 or newer")
        return version

    def read_chart(self, chart: Chart, folder: Path) -> ChartArchive:
        """The chart's archive, downloaded into ``folder`` unless it is on disk already.

        Raises Permanent when its digest is not the one that the spec names: nobody may change what is
        behind a version.
        """
        path = Path(chart.path) if chart.path else self._pull(chart, folder)
        if not path.exists():
            raise Permanent("chart", f"read {path}", "there is nothing", "correct release.chart.path in the profile")
        about = read_about(path)
        title = f"{about.get('name', chart.name)}-{about.get('version', chart.version)}"
        found = ChartArchive(
            path, title, digest_of(path), about.get("kubeVersion", ""), str(about.get("appVersion", ""))
        )
        if chart.digest and chart.digest != found.digest:
            remedy = "find out who changed the archive; when it is right, put its digest into release.chart.digest"
            raise Permanent("chart", f"check {found.title}", f"its digest is {found.digest}", remedy)
        return found

    def list_revisions(self, release: str) -> tuple[Revision, ...]:
        """The release's history, oldest first; empty when there is no such release."""
        said = self._ask("history", release, "--max", str(HISTORY_MAX), "--output", "json")
        return tuple(
            Revision(line["revision"], line["status"], line["chart"], line["description"])
            for line in sorted(json.loads(said or "[]"), key=lambda line: line["revision"])
        )

    def read_values(self, release: str) -> Values:
        """The values that the newest revision was given, without the chart's own defaults; none without a release."""
        values: Any = json.loads(self._ask("get", "values", release, "--output", "json") or "{}")
        return values or {}

    def read_revision(self, release: str, number: int | None = None) -> RenderedRevision | None:
        """A revision, the newest without ``number``, with the objects that it was rendered to, Secrets among them.

        None when Helm does not have it.
        """
        which = ["--revision", str(number)] if number else []
        said = self._ask("get", "all", release, "--template", REVISION, *which)
        if not said:
            return None
        found, status, chart, description, manifest = said.split("\n", 4)
        return RenderedRevision(Revision(int(found), status, chart, description.strip('"')), _objects(manifest))

    def render(self, release: str, chart: Path, values: Values) -> tuple[Body, ...]:
        """The objects that an upgrade would render, Secrets among them. Writes nothing.

        Helm renders nothing while the release is pending.
        """
        words = ("upgrade", release, str(chart), "--install", "--values", "-", "--dry-run=server", "--output", "json")
        rendered: Any = json.loads(self._run(*words, *self._take_back_fields(), stdin=json.dumps(values)).stdout)
        return _objects(rendered["manifest"])

    def upgrade(
        self,
        release: str,
        chart: Path,
        values: Values,
        timeout: float,
        on_line: Callable[[str], None],
        on_tick: Callable[[], None],
    ) -> None:
        """The release runs this chart with these values, and its pods are ready. ``timeout`` is in seconds."""
        # The values go in by standard input: they need no file, and stand in no process list.
        self._write(
            "upgrade", release, str(chart), "--install", "--values", "-", "--history-max", str(HISTORY_MAX),
            *self._wait(timeout), *self._take_back_fields(),
            stdin=json.dumps(values), timeout=timeout + QUERY_SECONDS, on_line=_without_notes(on_line), on_tick=on_tick,
        )  # fmt: skip

    def rollback(
        self,
        release: str,
        revision: int,
        timeout: float,
        on_line: Callable[[str], None],
        on_tick: Callable[[], None],
    ) -> None:
        """A new revision runs what ``revision`` ran, and its pods are ready.

        The number is always named: without one, Helm takes the last revision minus one, whatever its state.
        """
        self._write(
            "rollback", release, str(revision), "--history-max", str(HISTORY_MAX),
            *self._wait(timeout), *self._take_back_fields(),
            timeout=timeout + QUERY_SECONDS, on_line=on_line, on_tick=on_tick,
        )  # fmt: skip

    def free(self, release: str, revision: int) -> None:
        """A release that a killed Helm left pending is pending no more: it says again what ``revision`` said.

        Only a rollback ends that state (Helm 4.3.1, tried). Waits for no pod, since an upgrade follows and
        what ``revision`` runs need not be able to start.
        """
        self._write("rollback", release, str(revision), "--history-max", str(HISTORY_MAX), *self._take_back_fields())

    def uninstall(self, release: str, timeout: float, on_line: Callable[[str], None]) -> None:
        """The release and its history are gone; what is marked to be kept stays. ``timeout`` is in seconds."""
        words = ("uninstall", release, *self._wait(timeout))
        self._write(*words, timeout=timeout + QUERY_SECONDS, on_line=on_line)

    def _wait(self, timeout: float) -> list[str]:
        return ["--wait", "--timeout", f"{timeout:.0f}s"]

    def _take_back_fields(self) -> list[str]:
        """Fields that somebody edited by hand become the chart's again, as Helm 3 always did.

        Helm 4 applies on the server's side, where such an edit is a conflict and fails the upgrade.
        """
        return ["--server-side=true", "--force-conflicts"] if self.read_version() >= (4, 0) else []

    def _pull(self, chart: Chart, folder: Path) -> Path:
        assert chart.repository
        trust = ["--ca-file", chart.ca] if chart.ca else []
        if chart.repository.startswith("oci://"):
            source = [f"{chart.repository.rstrip('/')}/{chart.name}"]
        else:
            source = [chart.name, "--repo", chart.repository]
        self._run("pull", *source, "--version", chart.version, "--destination", str(folder), *trust)
        return folder / f"{chart.name}-{chart.version}.tgz"

    def _ask(self, *words: str) -> str:
        """What Helm knows of a release; "" when there is none."""
        try:
            return self._run(*words).stdout
        except HubError as error:
            if "not found" in error.answered and ("release:" in error.answered or "revision" in error.answered):
                return ""
            raise

    def _write(
        self,
        *words: str,
        stdin: str | None = None,
        timeout: float = QUERY_SECONDS,
        on_line: Callable[[str], None] = lambda _line: None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        def tick() -> None:
            self._may_write()
            on_tick()

        self._may_write()
        self._run(*words, stdin=stdin, timeout=timeout, on_line=on_line, on_tick=tick)

    def _run(
        self,
        *words: str,
        stdin: str | None = None,
        timeout: float = QUERY_SECONDS,
        on_line: Callable[[str], None] = lambda _line: None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> Output:
        try:
            return run(
                ["helm", *words, "--namespace", self._namespace],
                timeout=timeout, stdin=stdin, on_line=on_line, on_tick=on_tick,
                remedy="read Helm's message, mend its cause, and run again",
            )  # fmt: skip
        except Permanent as error:
            if any(sign in error.answered for sign in _UNREACHABLE):
                remedy = "check that the API server, and the chart's repository, can be reached, then run again"
                raise Transient(error.system, error.asked, error.answered, remedy) from None
            raise


def _objects(manifest: str) -> tuple[Body, ...]:
    documents: Iterable[Body | None] = YAML(typ="safe").load_all(manifest)
    return tuple(document for document in documents if document)


def _without_notes(on_line: Callable[[str], None]) -> Callable[[str], None]:
    """What Helm says before the chart's notes; those are advice for somebody who installs it by hand."""
    notes = False

    def pass_on(line: str) -> None:
        nonlocal notes
        notes = notes or line.startswith("NOTES:")
        if not notes:
            on_line(line)

    return pass_on
