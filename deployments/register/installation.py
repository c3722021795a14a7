"""The installation file: which hubs there are, where their flows run, and who is told of trouble."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from config.images import PinnedImage
from config.profiles import BadProfile, load_profile
from config.spec import Hub
from tasks.core.problems import Problem

DEFAULT = Path("/etc/hubwright/installation.yaml")
VARIABLE = "HUBWRIGHT_INSTALLATION"
SHOWN_CHARACTERS = 60


def _by_digest(reference: str) -> str:
    return str(PinnedImage.parse(reference))


def _by_name(profile: str) -> str:
    if "/" in profile or profile.endswith((".yaml", ".yml")):
        raise ValueError("a path is of no use in another pod: give the profile's name")
    return profile


class Installation(BaseModel):
    """What an installation is told by whoever runs it. It holds no secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Annotated[str, AfterValidator(_by_digest)] = Field(
        description="The image that flows run in, by digest.",
        examples=["registry.example.com/platform/flows@sha256:…"],
    )
    hubs: tuple[Annotated[str, AfterValidator(_by_name)], ...] = Field(
        description="Profiles of the hubs, by name.", examples=[["thinkube"]]
    )
    pools: dict[str, dict[str, Any]] = Field(
        description="Base job template of each work pool, with variables and job_configuration.",
        examples=[{"hubs": {}, "images": {}}],
    )
    limits: dict[str, Annotated[int, Field(ge=0)] | None] = Field(
        default_factory=dict,
        description="How many runs of a pool there are at once; null for as many as come.",
        examples=[{"hubs": 4, "images": 1}],
    )
    notify: Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]+/[a-z0-9-]+)?$")] = Field(
        default="",
        description="The notification block that is told of trouble, as type/name; empty for nobody.",
        examples=["slack-webhook/operations"],
    )
    url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s?#]+)?$")] = Field(
        default="",
        description="Where people open Prefect's UI; empty for what Prefect itself takes for it.",
        examples=["https://prefect.example.com"],
    )


class BadInstallation(Exception):
    """An installation file that cannot be used; its text has every mistake, and what to do about each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def installation_path(given: Path | None = None) -> Path:
    """Where the file is: as given, else as the environment says, else where the chart mounts it."""
    return given or Path(os.environ.get(VARIABLE) or DEFAULT)


def load_installation(path: Path | None = None) -> Installation:
    """The installation that a file describes, whose profiles are good. Raises BadInstallation with every mistake."""
    path = installation_path(path)
    document = _read(path)
    problems = _profile_problems(path, document.get("hubs"))
    try:
        installation = Installation.model_validate(document)
    except ValidationError as error:
        problems = [_problem(path, details) for details in cast("list[Any]", error.errors())] + problems
        raise BadInstallation(problems) from None
    problems += [
        Problem(f"{path}: limits.{name}", "there is no such pool", f"name one of {', '.join(installation.pools)}")
        for name in installation.limits
        if name not in installation.pools
    ]
    if problems:
        raise BadInstallation(problems)
    return installation


def hubs_of(installation: Installation) -> tuple[tuple[str, Hub], ...]:
    """Each profile of the installation with the hub that it describes. Raises BadProfile."""
    return tuple((profile, load_profile(profile)) for profile in installation.hubs)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"give its path in --installation, or in {VARIABLE}"
        raise BadInstallation([Problem(str(path), f"cannot be read: {error}", remedy)]) from None
    except YAMLError as error:
        raise BadInstallation([Problem(str(path), f"is not YAML: {error}", "mend it there")]) from None
    if not isinstance(document, dict):
        remedy = f"give it the keys {', '.join(Installation.model_fields)}"
        raise BadInstallation([Problem(str(path), "is no mapping of keys", remedy)])
    return cast("Mapping[str, Any]", document)


def _profile_problems(path: Path, named: Any) -> list[Problem]:
    """What is wrong with the profiles themselves, and hubs that are there twice."""
    profiles = [one for one in cast("list[Any]", named) if isinstance(one, str)] if isinstance(named, list) else []
    problems: list[Problem] = []
    names: Counter[str] = Counter()
    for profile in profiles:
        try:
            names[load_profile(profile).name] += 1
        except BadProfile as error:
            remedy = "mend the profile, or take it from the list"
            problems += [Problem(f"{path}: hubs: {profile}", str(mistake), remedy) for mistake in error.mistakes]
    twice = [name for name, count in names.items() if count > 1]
    remedy = "give each hub a name of its own, and list its profile once"
    return problems + [Problem(f"{path}: hubs", f"{name} is there more than once", remedy) for name in twice]


def _problem(path: Path, details: Any) -> Problem:
    key = ".".join(str(part) for part in details["loc"])
    field = Installation.model_fields.get(str(details["loc"][0]))
    known = ", ".join(Installation.model_fields)
    what = f"{path}: {key}"
    if details["type"] == "extra_forbidden":
        return Problem(what, "there is no such key", f"take it out; there are {known}")
    found = "is missing" if details["type"] == "missing" else f"{_shown(details['input'])}: {details['msg']}"
    examples = field.examples if field and field.examples else [""]
    return Problem(what, found, f"{field.description if field else ''} For example: {_shown(examples[0])}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
