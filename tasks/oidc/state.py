"""What can be seen of an identity provider: its discovery document, and its clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from config.oidc import Endpoints
from tasks.core.errors import Permanent
from tasks.core.problems import Problem

SKEW_TOLD = timedelta(seconds=30)
"""More than an answer takes on its way, and less than the minutes that tokens and codes live."""
NEEDED = {
    # Endpoints by their names in the document (OpenID Connect Discovery 1.0, section 3).
    "authorization": "authorization_endpoint",
    "token": "token_endpoint",
    "userinfo": "userinfo_endpoint",
}


@dataclass(frozen=True)
class SeenProvider:
    """A provider that answers as it should, and what is worth knowing about it all the same."""

    endpoints: Endpoints
    problems: tuple[Problem, ...] = ()


def parse_endpoints(document: Mapping[str, Any], issuer: str, asked: str) -> Endpoints:
    """The endpoints of a discovery document. Raises Permanent when it is another issuer's, or lacks one."""
    if document.get("issuer") != issuer:
        remedy = "put that into identity.issuer, or have the provider's own host name corrected: both must be the same"
        raise Permanent("OIDC", asked, f"the issuer calls itself {document.get('issuer')!r}", remedy)
    missing = [name for name in NEEDED.values() if not isinstance(document.get(name), str)]
    if missing:
        remedy = "JupyterHub signs in by the authorization code flow and userinfo: choose a provider that has both"
        raise Permanent("OIDC", asked, f"the discovery document has no {', '.join(missing)}", remedy)
    return Endpoints(
        issuer=issuer,
        **{name: str(document[key]) for name, key in NEEDED.items()},
        end_session=document.get("end_session_endpoint"),
    )


def clock_problems(issuer: str, theirs: datetime | None, ours: datetime) -> tuple[Problem, ...]:
    """Whether the provider's clock (the Date of its answer) and ours agree.

    It is told and keeps nobody out: the provider judges its codes and tokens by its own clock alone, and the hub
    asks it instead of judging them itself. But one of the two clocks is wrong, which certificates, logs and the
    cluster's own tokens do not forgive for long.
    """
    if theirs is None or abs(theirs - ours) <= SKEW_TOLD:
        return ()
    seconds = round((theirs - ours).total_seconds())
    found = f"it is {abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    remedy = "have both follow a time server: certificates and tokens are judged by their times"
    return (Problem(f"clock of {issuer}", found, remedy, fatal=False),)
