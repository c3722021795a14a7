"""When a hub's flows run by themselves, and which of them ask somebody first."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter
from pydantic import AfterValidator, Field

from config.part import Part
from config.types import Duration

SEARCHED_FROM = datetime(2026, 1, 1)  # noqa: DTZ001 - only whether there is a next time counts
CRON_FIELDS = 5


def _check_cron(text: str) -> str:
    if len(text.split()) != CRON_FIELDS or not croniter.is_valid(text):
        raise ValueError("a cron line has five fields: minute, hour, day of month, month, day of week")
    try:
        croniter(text, SEARCHED_FROM).get_next()
    except ValueError:
        raise ValueError("there is no such day: it would never run") from None
    return text


def _check_timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("a time zone is a name of the IANA database, like Europe/Berlin")
    return ZoneInfo(name).key


Cron = Annotated[str, Field(max_length=100), AfterValidator(_check_cron)]
"""A cron line of five fields, as Prefect's schedules take it."""

TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_check_timezone)]
"""A time zone of the IANA database."""


class Schedules(Part):
    """When flows of the hub run by themselves; null for one that never does. A missed time is caught up once."""

    timezone: TimeZone = Field(
        default="UTC", description="Time zone that the cron lines are in.", examples=["Europe/Berlin"]
    )
    drift: Cron | None = Field(
        default="0 4 * * *",
        description="When it is looked whether the hub is still as its profile says.",
        examples=["0 4 * * *"],
    )
    repair: bool = Field(
        default=False,
        description="Whether that look also puts right what it finds; without it, it only tells.",
        examples=[True],
    )
    rebuild: Cron | None = Field(
        default="0 2 * * 0",
        description="When the image is built anew if its inputs changed; for a hub with image.build.",
        examples=["0 2 * * 0"],
    )
    robots: Cron | None = Field(
        default="30 3 * * *",
        description="When the robots of Harbor are renewed if their time comes; for a hub with registry.harbor.",
        examples=["30 3 * * *"],
    )


class Approval(Part):
    """A person looks at the plan of a deploy, and says yes, before anything is changed."""

    timeout: Duration = Field(
        default="8h", description="How long a deploy waits for that, until it fails.", examples=["8h"]
    )
