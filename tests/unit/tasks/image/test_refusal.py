"""Each way in which an engine says no has a remedy of its own, and is tried again only when that may help."""

from __future__ import annotations

import pytest

from tasks.core.errors import HubError, Permanent, Transient
from tasks.image.refusal import refused, unreachable


@pytest.mark.parametrize(
    ("kind", "said", "error", "remedy"),
    [
        ("pull", "initializing source docker://r.io/base: manifest unknown", Permanent, "the base is gone"),
        (
            "pull",
            "Get https://r.io/v2/: x509: certificate signed by unknown authority",
            Permanent,
            "trust the registry",
        ),
        ("pull", "dial tcp 10.0.0.1:443: connect: connection refused", Transient, "reaches the base's registry"),
        ("pull", "dial tcp: lookup r.io: no such host", Permanent, "look up the registry's name"),
        ("pull", "Error processing tar file(exit status 1): archive/tar: invalid tar header", Permanent, "Docker 23"),
        ("pull", "unauthorized: authentication required", Permanent, "let the engine pull the base"),
        (
            "build",
            "dockerfile parse error on line 3: unknown instruction: RUNN",
            Permanent,
            "correct the Containerfile",
        ),
        ("build", "writing blob: no space left on device", Permanent, "free some disk"),
        ("build", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", Permanent, "lock-image"),
        ("build", "ERROR: No matching distribution found for pandas==2", Permanent, "lock-image"),
        ("build", "FAILED (failures=1)", Permanent, "does not pass its tests"),
        ("build", "while running runtime: exit status 2", Permanent, "read the step's own lines"),
        ("push", "unauthorized: unauthorized to access repository: a/b, action: push", Permanent, "renewed"),
        (
            "push",
            "denied: adding 5 MiB of storage resource, which will exceed the configured upper limit",
            Permanent,
            "full",
        ),
        ("push", "Failed to process request due to 'b:v1' configured as immutable.", Permanent, "immutable"),
        ("push", "The system is in read only mode. Any modification is prohibited.", Permanent, "read-only"),
        ("push", "project a not found", Permanent, "the project is gone"),
        ("push", "received unexpected HTTP status: 503 Service Unavailable", Transient, "goes on where it was"),
        ("push", "something odd about sha256:a503b429c401d403", Permanent, "push the image by hand"),
        ("build", "x509: certificate of the step's own host", Permanent, "read the step's own lines"),
        ("push", "429 Too Many Requests", Transient, "goes on where it was"),
        ("push", "write tcp: connection reset by peer", Transient, "goes on where it was"),
    ],
)
def test_what_an_engine_says_is_understood(kind: str, said: str, error: type[HubError], remedy: str) -> None:
    found = refused(kind, "do it", said)
    assert type(found) is error
    assert remedy in found.remedy
    assert said in found.answered


def test_the_words_of_the_failed_step_count_and_are_shown() -> None:
    found = refused("build", "build", "exit status 1", "at RUN pip\n    ERROR: No matching distribution found for x")
    assert "lock-image" in found.remedy
    assert "at RUN pip" in found.answered


@pytest.mark.parametrize(
    ("error", "kind", "answered", "remedy"),
    [
        (
            PermissionError(13, "Permission denied"),
            Permanent,
            "permission denied",
            "a user who may write to that socket",
        ),
        (ConnectionError("No such file or directory"), Permanent, "there is no such socket", "start Podman's service"),
        (ConnectionError("Connection refused"), Transient, "Connection refused", "start Podman's service"),
    ],
)
def test_an_engine_that_does_not_answer_is_told_with_what_helps(
    error: Exception, kind: type[HubError], answered: str, remedy: str
) -> None:
    found = unreachable("unix:///x.sock", error)
    assert type(found) is kind
    assert answered in found.answered
    assert remedy in found.remedy
