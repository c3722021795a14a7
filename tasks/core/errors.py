"""The errors of Hubwright: what a client raises, and what decides whether a task is tried again."""

from __future__ import annotations


class HubError(Exception):
    """Something went wrong that a person may have to act on.

    Its text always says four things: which system, what was asked of it, what it answered, and what to do
    next. Never put a secret into any of them: the text reaches logs, the Prefect UI and its database.
    """

    def __init__(self, system: str, asked: str, answered: str, remedy: str) -> None:
        super().__init__(system, asked, answered, remedy)
        self.system = system
        self.asked = asked
        self.answered = answered
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.system}: {self.asked}: {self.answered}\n  What to do: {self.remedy}"


class Transient(HubError):
    """May go away by itself: tasks try again.

    ``retry_after`` is how many seconds the system itself asks to be left alone, 0 where it did not say.
    """

    def __init__(self, system: str, asked: str, answered: str, remedy: str, *, retry_after: float = 0.0) -> None:
        super().__init__(system, asked, answered, remedy)
        self.retry_after = retry_after


class Permanent(HubError):
    """Stays until somebody changes something: tasks never try again."""


class Conflict(Permanent):
    """Somebody else changed the same thing meanwhile: look again before you change it."""
