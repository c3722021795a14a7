"""What commands of a shell have in common."""

from __future__ import annotations

import argparse
import sys

BAD_INPUT = 3
"""How a command ends whose input is bad: nothing was touched."""


class Parser(argparse.ArgumentParser):
    """Ends by our exit code for bad input, where argparse would take 2, which means something else here."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Says how it is used, and what is wrong."""
        self.print_usage(sys.stderr)
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")
