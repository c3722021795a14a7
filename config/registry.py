"""The registry that holds the images, and what Hubwright sets up in it when that is a Harbor."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from config.part import Part
from config.secrets import SecretRef
from config.types import Duration, HttpUrl


class Severity(StrEnum):
    """How bad a vulnerability is, as Harbor 2.15 rates them, mildest first."""

    NONE = "None"
    UNKNOWN = "Unknown"
    NEGLIGIBLE = "Negligible"
    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    CRITICAL = "Critical"

    @property
    def rank(self) -> int:
        """Its place among all of them: the worse, the greater."""
        return list(type(self)).index(self)


class AllowedVulnerability(Part):
    """A vulnerability that somebody has looked at, and that stops no image until a day."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][-A-Za-z0-9._:]*$", max_length=64)] = Field(
        description="Its name, as the scanner writes it.", examples=["CVE-2026-12345"]
    )
    until: date = Field(description="Last day on which it is allowed (UTC).", examples=["2027-03-31"])
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        description="Why it does no harm here, for whoever asks later.", examples=["the function is never called"]
    )


class Gate(Part):
    """What keeps an image from being used: what the registry's scanner found in it."""

    severity: Severity | None = Field(
        default=Severity.CRITICAL,
        description="From this severity on, a vulnerability stops the image; null for none does.",
        examples=["Critical"],
    )
    without_scanner: Literal["warn", "fail"] = Field(
        default="warn", description="What happens when Harbor has no scanner.", examples=["warn"]
    )
    allowed: tuple[AllowedVulnerability, ...] = Field(default=(), description="Vulnerabilities that stop nothing.")
    timeout: Duration = Field(default="15m", description="How long a scan may take.", examples=["15m"])


class Retention(Part):
    """Which images of the repository Harbor keeps. One that a release names is kept whatever this says."""

    newest: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="So many images that were pushed last.", examples=[10]
    )
    schedule: Annotated[str, StringConstraints(pattern=r"^0( [-0-9*/,]+){5}$")] = Field(
        default="0 0 3 * * *",
        description="When Harbor deletes the others: a cron line of six fields, of which the seconds are 0.",
        examples=["0 0 3 * * *"],
    )


class Webhook(Part):
    """Where Harbor tells that an image was pushed or scanned."""

    url: HttpUrl = Field(
        description="Address of Hubwright's receiver.", examples=["https://hubwright.example.com/harbor"]
    )
    authorization: SecretRef = Field(description="What Harbor sends as the header Authorization.")
    retiring: SecretRef | None = Field(
        default=None,
        description="What it sent before: good too, for as long as it is named here, so that no event is lost while"
        " authorization changes.",
    )
    deploy_on: Literal["push", "scan"] = Field(
        default="push",
        description="What the hub is deployed by that follows image.reference's tag: a push of it, or the end of a scan"
        " of it that the gate lets through.",
        examples=["scan"],
    )
    payload_format: Literal["Default", "CloudEvents"] = Field(
        default="CloudEvents", description="How it is written.", examples=["CloudEvents"]
    )


class Harbor(Part):
    """What Hubwright sets up in a Harbor: project, robots, retention, webhook."""

    user: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        description="A user of Harbor who administers the project, or may make it; never the system's administrator.",
        examples=["hubwright"],
    )
    password: SecretRef = Field(description="That user's password, or CLI secret where people sign in by OIDC.")
    robot_days: Annotated[int, Field(ge=2, le=365)] = Field(
        default=90, description="For how many days a robot's secret is good.", examples=[90]
    )
    renew_days: Annotated[int, Field(ge=1, le=364)] = Field(
        default=30, description="How many days before its end a robot is renewed.", examples=[30]
    )
    retention: Retention | None = Field(
        default_factory=Retention, description="Which images are kept; null for all of them."
    )
    webhook: Webhook | None = Field(default=None, description="Where it tells what was pushed.")
    gate: Gate = Field(default_factory=Gate, description="What keeps an image from being used.")

    @model_validator(mode="after")
    def _renewed_before_the_end(self) -> Self:
        if self.renew_days >= self.robot_days:
            raise ValueError(f"renew_days {self.renew_days} must be less than robot_days {self.robot_days}")
        return self


class Registry(Part):
    """The registry that holds the images, as seen from where flows run."""

    ca: str | None = Field(
        default=None,
        description="File with the CA that signed the registry's certificate; without it the system's.",
        examples=["/etc/ssl/certs/company-ca.crt"],
    )
    harbor: Harbor | None = Field(
        default=None,
        description="What is set up in it, when image.reference is in a Harbor; without it, images are only read.",
    )
