"""What stands in the way of a deploy, all of it gathered before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from tasks.core.errors import HubError, Permanent

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Problem:
    """One thing that is not as a deploy needs it: what was looked at, what was found, and what to do about it."""

    what: str
    found: str
    remedy: str
    fatal: bool = True
    """Whether a deploy is bound to fail; else it is something to know."""

    def __str__(self) -> str:
        return f"{self.what}: {self.found}\n      {self.remedy}"


class NotReady(Permanent):
    """Something is missing that a deploy needs. Nothing was touched."""


class Gathering:
    """Looks at one thing after another, and keeps what is wrong instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, problems: Iterable[Problem] | None) -> bool:
        """Keep these too; whether there was an answer at all."""
        self.problems += problems or ()
        return problems is not None

    def attempt(self, look: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """What ``look`` returns; None when it raised a HubError, which is kept as a problem."""
        try:
            return look(*args, **kwargs)
        except HubError as error:
            self.problems.append(Problem(f"{error.system}: {error.asked}", error.answered, error.remedy))
            return None


def require_ready(hub: str, problems: Sequence[Problem], purpose: str = "a deploy") -> None:
    """Raises NotReady, with all of them, when one is fatal."""
    fatal = [problem for problem in problems if problem.fatal]
    if fatal:
        count = f"{len(fatal)} things are" if len(fatal) > 1 else "one thing is"
        listed = "".join(f"\n    - {problem}" for problem in fatal)
        raise NotReady(hub, f"be ready for {purpose}", f"{count} missing or wrong{listed}", "mend them, and run again")
