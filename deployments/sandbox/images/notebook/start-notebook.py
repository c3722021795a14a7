#!/usr/bin/env python3
"""Become the server that this container is for: a hub's single-user server, or JupyterLab by itself."""

import os
import sys

UNDER_A_HUB = "JUPYTERHUB_API_TOKEN"
ALONE = ["jupyter", "lab"]


def main() -> None:
    """Replace this process; arguments go on to the server."""
    command = ["jupyterhub-singleuser"] if UNDER_A_HUB in os.environ else ALONE
    os.execvp(command[0], [*command, *sys.argv[1:]])  # noqa: S606 - becoming it is the point


if __name__ == "__main__":
    main()
