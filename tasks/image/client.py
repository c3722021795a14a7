"""A container engine by the Docker API: Podman's service, or a Docker daemon. The only place that talks to it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import IO, Any, cast

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from prefect_docker.host import DockerHost
from requests.exceptions import RequestException, Timeout
from urllib3.exceptions import HTTPError, ReadTimeoutError

from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.login import Login
from tasks.image.refusal import ENGINE, refused, unreachable
from tasks.image.state import BuildLog, Readable, SeenEngine, Step

API_VERSION = "1.41"
"""Of the Docker API: Podman 4's, and one that Docker knows since 20.10."""
EPOCH = "1767225600"
"""2026-01-01: the time of all files and of the image, where the engine can set one. Podman does, Docker does not."""
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
PODMAN = "Podman Engine"
QUERY_SECONDS = 30
PIECE = 2**21
STILL_THERE = "look whether the engine still runs, then run again"
LOST = (DockerException, RequestException, HTTPError)
"""What is raised when an engine does not answer. While a stream is read, urllib3's own errors come as they are."""

Say = Callable[[str], None]
Records = Iterator[Mapping[str, Any]]


class Engine:
    """One engine; ``timeout`` is how many seconds it may be silent, and a build or a push may take."""

    def __init__(self, client: docker.DockerClient, timeout: float) -> None:
        self._client = client
        self._api = client.api
        self._timeout = timeout

    @classmethod
    @contextmanager
    def connect(cls, address: str | None, timeout: float) -> Generator[Engine]:
        """The engine at an address; without one, at that of DOCKER_HOST. Raises Permanent when none answers."""
        where = address or os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET
        try:
            client = DockerHost(base_url=where, version=API_VERSION, timeout=QUERY_SECONDS).get_client()
            client.ping()
        except LOST as error:
            raise unreachable(where, error) from error
        with closing(client):
            client.api.timeout = int(timeout)
            yield cls(client, timeout)

    def read_about(self) -> SeenEngine:
        """What engine it is, and how much disk it has left."""
        with _asked("what it is"):
            version, info = self._client.version(), self._client.info()
            name = next((part["Name"] for part in version.get("Components") or ()), "Docker")
            storage = str(info.get("DockerRootDir", ""))
            return SeenEngine(name, str(version["Version"]), storage, self._free_bytes(name, storage))

    def _free_bytes(self, name: str, storage: str) -> int | None:
        with suppress(OSError):  # the storage may be on another machine
            return shutil.disk_usage(storage).free
        if name != PODMAN:
            return None  # the Docker API has no word for it
        store = self._api.get(f"{self._api.base_url}/v4.0.0/libpod/info", timeout=QUERY_SECONDS).json()["store"]
        return int(store["graphRootAllocated"]) - int(store["graphRootUsed"])

    def has_image(self, reference: str) -> bool:
        """Whether it need not be pulled."""
        try:
            with _asked(f"find {reference}"):
                self._client.images.get(reference)
        except Permanent as error:
            if isinstance(error.__cause__, ImageNotFound):
                return False
            raise
        return True

    def read_architecture(self, reference: str) -> str:
        """The processor that an image is for, as Go calls it: amd64, arm64."""
        with _asked(f"look at {reference}"):
            return str(self._client.images.get(reference).attrs["Architecture"])

    def list_sizes(self) -> tuple[tuple[str, int], ...]:
        """Every tag of an image, with the bytes that it has unpacked."""
        with _asked("list its images"):
            return tuple((tag, image.attrs["Size"]) for image in self._client.images.list() for tag in image.tags)

    def read_layers(self, reference: str) -> tuple[str, ...]:
        """The digests of an image's layers, unpacked."""
        with _asked(f"look at {reference}"):
            return tuple(self._client.images.get(reference).attrs["RootFS"]["Layers"])

    def pull(self, reference: str, login: Login | None, say: Say) -> None:
        """The engine has an image by digest. Raises Permanent when its registry does not."""
        say(f"pull {reference}")
        auth = _auth(login) if login else None
        # By its whole reference: a digest given as a tag is joined to the name in the wrong way.
        records = self._stream(
            lambda: cast("Records", self._api.pull(reference, stream=True, decode=True, auth_config=auth))
        )
        for record in self._watch("pull", f"pull {reference}", records):
            if "status" in record and not record.get("progressDetail"):
                say(f"pull: {record['status']}")

    def build(
        self, context: IO[bytes], tag: str, arguments: Mapping[str, str], begin: Callable[[Step], None], say: Say
    ) -> str:
        """The engine has the image of a context's Containerfile under a local tag; returns its id.

        ``context`` is a tar. ``begin`` hears each step. Raises Permanent with the failed step's own last lines.
        """
        log, built = BuildLog(), ""
        # A session's parameters go with each request: an engine that does not know the word leaves it.
        self._api.params = {"timestamp": EPOCH}
        records = self._stream(
            lambda: self._api.build(
                fileobj=context,
                custom_context=True,
                dockerfile="Containerfile",
                tag=tag,
                buildargs=dict(arguments),
                network_mode="host",
                timeout=int(self._timeout),  # it takes the client's only where it is told none at all
                rm=True,
                forcerm=True,
                decode=True,
            )
        )
        try:
            for record in self._watch("build", f"build {tag}", records, log):
                for line in filter(None, str(record.get("stream", "")).splitlines()):
                    say(line)
                    if step := log.hear(line):
                        begin(step)
                built = (record.get("aux") or {}).get("ID", built)
        finally:
            self._api.params = {}
        if not built:
            raise refused("build", f"build {tag}", "it ended without an image", log.last_words)
        return built

    def push(self, local: str, repository: str, tag: str, login: Login | None, say: Say) -> None:
        """The registry has the image under a tag. Layers that it had are not sent again. None signs in as nobody.

        Raises Transient when the connection was lost: what was sent by then need not be sent again.
        """
        asked = f"push {repository}:{tag}"
        auth = _auth(login) if login else None
        with _asked(f"tag {local}"):
            self._api.tag(local, repository, tag)
        pushed = self._stream(
            lambda: cast("Records", self._api.push(repository, tag=tag, stream=True, decode=True, auth_config=auth))
        )
        for record in self._watch("push", asked, pushed):
            if "status" in record and not record.get("progressDetail"):
                say(f"push: {record['status']} {record.get('id', '')}".rstrip())

    @contextmanager
    def export(self, reference: str) -> Generator[Readable]:
        """The image's file system as one tar, piece by piece; nothing of the image runs for it."""
        with _asked(f"read the files of {reference}"):
            container = self._api.create_container(reference, command=["true"])["Id"]
            try:
                # Not by docker's own call: it takes the time limit away from the connection.
                url = f"{self._api.base_url}/v{API_VERSION}/containers/{container}/export"
                with self._api.get(url, stream=True, timeout=self._timeout) as answer:
                    answer.raise_for_status()
                    yield _Pieces(answer.iter_content(PIECE))
            finally:
                self._api.remove_container(container, force=True)

    def _stream(self, ask: Callable[[], Records]) -> Records:
        """Records as they come, until too much time has passed in all, or the engine was silent for as long."""
        deadline = time.monotonic() + self._timeout
        for record in ask():
            if time.monotonic() > deadline:
                raise _too_long("go on", self._timeout)
            yield record

    def _watch(
        self, kind: str, asked: str, records: Iterator[Mapping[str, Any]], log: BuildLog | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """The records, up to one that says why it failed: the API tells that in the stream, not by a status."""
        try:
            for record in records:
                if said := record.get("error") or (record.get("errorDetail") or {}).get("message"):
                    raise refused(kind, asked, str(said), log.words_of(str(said)) if log else "")
                yield record
        except APIError as error:
            raise refused(kind, asked, str(error.explanation or error), log.last_words if log else "") from error
        except (Timeout, ReadTimeoutError) as error:
            raise _too_long(asked, self._timeout) from error
        except LOST as error:
            raise Transient(ENGINE, asked, f"the connection to it was lost: {error}", STILL_THERE) from error


def pull_if_missing(engine: Engine, reference: str, login: Login | None, say: Say) -> None:
    """The engine has the image. Raises as ``pull``, which is not asked for one that is there."""
    if not engine.has_image(reference):
        engine.pull(reference, login, say)


@contextmanager
def _asked(asked: str) -> Generator[None]:
    """Failures of a question to the engine are ours."""
    try:
        yield
    except HubError:
        raise
    except (ImageNotFound, NotFound) as error:
        raise Permanent(
            ENGINE, asked, str(error.explanation or error), "run again: it was removed meanwhile"
        ) from error
    except LOST as error:
        raise Transient(ENGINE, asked, str(error), STILL_THERE) from error


def _too_long(asked: str, seconds: float) -> HubError:
    remedy = "look what the engine is at; if it only needs longer, raise image.build.timeout"
    return Permanent(ENGINE, asked, f"not done within {seconds:g} s", remedy)


def _auth(login: Login) -> dict[str, str]:
    """As the Docker API takes it."""
    return {"username": login.user, "password": login.secret.get_secret_value()}


class _Pieces:
    """What can be read of an iterator's pieces, none of them kept."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = iter(pieces), b""

    def read(self, size: int = -1, /) -> bytes:
        """Up to so many bytes; fewer only at the end."""
        if size < 0:
            size = sys.maxsize
        parts, missing = [self._rest[:size]], size - len(self._rest[:size])
        self._rest = self._rest[size:]
        while missing and (piece := next(self._pieces, b"")):
            parts.append(piece[:missing])
            self._rest = piece[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)
