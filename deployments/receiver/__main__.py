"""``python -m deployments.receiver``: takes Harbor's events for the hubs of the installation, until it is stopped."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

import uvicorn
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from starlette.applications import Starlette

from config.profiles import BadProfile
from config.spec import Hub
from deployments.receiver.app import make_app
from deployments.receiver.metrics import Metrics
from deployments.receiver.readiness import Readiness
from deployments.receiver.redeploys import Follower, Redeploys
from deployments.receiver.sources import read_secret, read_tag, why_no_prefect
from deployments.receiver.tokens import Tokens, refs_of
from deployments.register.installation import BadInstallation, hubs_of, load_installation
from flows.redeploy import start_redeploy
from tasks.registry.following import why_not_followed

PORT = 8080
CONNECTIONS = 4096
IDLE_SECONDS = 75
"""Longer than an Ingress controller keeps a connection that it does not use."""
GRACE_SECONDS = 10
BAD_INPUT = 3

log = logging.getLogger(__name__)


def receiver_of(hubs: Iterable[tuple[str, Hub]]) -> Starlette:
    """A receiver for those of the hubs that follow a tag."""
    followers: list[Follower] = []
    for profile, hub in hubs:
        reason = why_not_followed(hub)
        log.info("hub %s: %s", hub.name, f"no event concerns it: {reason}" if reason else hub.image.reference)
        if not reason:
            followers.append(Follower(profile, hub))
    tokens = Tokens({one.hub.name: refs_of(one.hub) for one in followers}, read_secret)
    metrics = Metrics()
    redeploys = Redeploys(read_tag, start_redeploy, metrics)
    return make_app(followers, tokens, redeploys, metrics, Readiness(why_no_prefect))


def serving(app: Starlette, port: int = PORT) -> uvicorn.Config:
    """How it is served: plain HTTP, since an Ingress stands before it, and the log has a line of ours per delivery."""
    return uvicorn.Config(
        app, host="0.0.0.0", port=port, log_config=None, access_log=False, server_header=False, proxy_headers=False,
        limit_concurrency=CONNECTIONS, timeout_keep_alive=IDLE_SECONDS, timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip


def main() -> int:
    """Serves until it is stopped; requests that are under way then are still answered."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stdout)
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if not PREFECT_API_URL.value():
        # Without one, Prefect's client would start a server of its own, and runs would go there.
        print("PREFECT_API_URL is not set: set it to the address of Prefect's API", file=sys.stderr)
        return BAD_INPUT
    try:
        app = receiver_of(hubs_of(load_installation()))
    except (BadInstallation, BadProfile) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    # Harbor tries again, and the scheduled look at the tags after it: there is no use in being patient in between.
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        uvicorn.Server(serving(app)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
