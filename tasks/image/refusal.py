"""What an engine's words mean when it does not do what it was asked for, and what helps: pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.core.errors import HubError, Permanent, Transient

SHOWN_CHARACTERS = 300
ENGINE = "container engine"
_LOST = (
    r"connection re|EOF|timeout|timed out|unreachable|no route to host|broken pipe|\bi/o |TLS handshake|\b50[0234]\b"
    r"|status: 5"
)
_BUSY = r"\b429\b|toomanyrequests|too many requests"
_DIGEST = re.compile(r"[0-9a-f]{12,}")
"""Its digits are no status."""

# fmt: off
_FULL = (
    (r"no space left", Permanent,
     "free some disk where the engine keeps its images (podman image prune), then run again"),
)
_EVERYWHERE = (
    *_FULL,
    (r"x509|certificate", Permanent,
     "let the engine trust the registry's CA: put it into /etc/containers/certs.d/<registry>/ca.crt where it runs"),
    (r"no such host", Permanent, "let the engine's machine look up the registry's name, or correct it in the profile"),
)
_PULL = (
    (r"manifest unknown|not found|name unknown", Permanent,
     "the base is gone from its registry: name another one in image.build.base"),
    (r"unauthorized|denied|authentication", Permanent,
     "let the engine pull the base: log it in, or make the image public"),
    (r"invalid tar header", Permanent,
     "the engine does not know the base's compression (zstd): take Docker 23, or Podman 4, or newer"),
    *_EVERYWHERE,
    (f"{_BUSY}|{_LOST}|connection refused", Transient,
     "see that the engine reaches the base's registry, then run again"),
    (r"", Permanent, "pull image.build.base by hand where the engine runs, and look at what it says"),
)
_BUILD = (
    # A build asks no registry: certificates and hosts in its words are those of a step.
    *_FULL,
    (r"unknown instruction|dockerfile parse|parse error|syntax error|no FROM statement", Permanent,
     "correct the Containerfile in the folder of image.build.context"),
    (r"no such image|reference not found", Permanent,
     "let the engine keep the base: somebody removed it in mid-build; then run again"),
    (r"DO NOT MATCH THE HASHES|THESE PACKAGES DO NOT MATCH|No matching distribution|Could not find a version",
     Permanent,
     "the lock and the packages do not match: run `python -m flows lock-image` for this profile"),
    (r"unittest|FAILED \(", Permanent,
     "the image does not pass its tests: the lines above name them; change the lists"),
    (r"", Permanent, "read the step's own lines above, and correct the list, the Containerfile or the base"),
)
_PUSH = (
    *_EVERYWHERE,
    (r"quota|exceed the configured upper limit", Permanent,
     "the project is full: have its quota raised, or let registry.harbor.retention keep less"),
    (r"immutable", Permanent,
     "a rule of the project makes this tag immutable: take the rule away, or choose another tag"),
    (r"read only mode", Permanent, "Harbor is in read-only mode: wait until its administrators end that"),
    (r"project .*not found|name unknown|not found", Permanent,
     "the project is gone: run again, it is made at the start of each run"),
    (r"unauthorized|denied|forbidden|authentication|\b40[13]\b", Permanent,
     "the robot may not push: it expired, or lost its rights; run again, it is renewed at the start"),
    (f"{_BUSY}|{_LOST}|connection refused", Transient, "the push goes on where it was, once the registry answers"),
    (r"", Permanent, "push the image by hand where the engine runs, and look at what it says"),
)
# fmt: on

Rules = Sequence[tuple[str, type[HubError], str]]
RULES: dict[str, Rules] = {"pull": _PULL, "build": _BUILD, "push": _PUSH}
"""For each thing that an engine is asked for: the first whose words are in its answer; the last always is."""


def refused(kind: str, asked: str, said: str, last_words: str = "") -> HubError:
    """Our error for an answer of the engine's; ``last_words`` are those of the step that failed."""
    whole = _DIGEST.sub("", f"{said}\n{last_words}")
    error, remedy = next(
        (error, remedy) for words, error, remedy in RULES[kind] if re.search(words, whole, re.IGNORECASE)
    )
    text = said.strip()[-SHOWN_CHARACTERS:]
    return error(ENGINE, asked, f"{text}\n    {last_words}" if last_words else text, remedy)


def unreachable(address: str, error: BaseException) -> HubError:
    """Our error for an engine that does not answer."""
    asked, text = f"connect to {address}", str(error)
    if "Permission denied" in text or isinstance(error, PermissionError):
        remedy = "run as a user who may write to that socket (for Podman's own: the user whose service it is)"
        return Permanent(ENGINE, asked, "permission denied", remedy)
    remedy = (
        "start Podman's service (systemctl start podman.socket, or podman system service), and name its socket in"
        " image.build.engine or DOCKER_HOST"
    )
    if "No such file" in text:
        return Permanent(ENGINE, asked, "there is no such socket", remedy)
    # One that is being started anew answers soon: Podman 4.3 may end by itself when a build has failed.
    return Transient(ENGINE, asked, f"does not answer: {text[-SHOWN_CHARACTERS:]}", remedy)
