"""A profile, by name or path, as a Hub; or all of its mistakes at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from config.identity import PasswordIdentity
from config.secrets import SecretRef
from config.spec import Hub

FOLDER = Path(__file__).parent / "profiles"
INSTALLED = FOLDER / "installed"
"""Where an installation in a cluster mounts the profiles that its values hold; empty anywhere else."""
LONGEST_INHERITANCE = 8
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in a profile, and where."""

    file: str
    line: int | None
    key: str
    problem: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.problem}" if self.key else f"{place}: {self.problem}"


class BadProfile(Exception):
    """A profile that cannot be used; its text has one line for each mistake."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__(tuple(mistakes))
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        return "\n".join(str(mistake) for mistake in self.mistakes)


def profile_names() -> list[str]:
    """Names of the profiles that come with Hubwright, and of those that were installed beside them, sorted."""
    return sorted({path.stem for folder in (FOLDER, INSTALLED) for path in folder.glob("*.yaml")})


def load_profile(name_or_path: str) -> Hub:
    """The hub that a profile describes. Raises BadProfile with every mistake that can be found at once.

    A profile may extend another: it is then a JSON Merge Patch (RFC 7396) upon it, so mappings merge,
    anything else replaces, and null removes.
    """
    layers = _read_layers(_find(name_or_path, None))
    document: dict[str, Any] = {}
    for _, layer in reversed(layers):
        document = _merge(document, layer)
    document.pop("extends", None)
    try:
        return Hub.model_validate(document)
    except ValidationError as error:
        raise BadProfile([_mistake(details, layers) for details in error.errors()]) from None


def _find(name_or_path: str, asked_by: Path | None) -> Path:
    """The file of a profile; a path is one that ends in .yaml or .yml, from the folder of the one that asks."""
    if name_or_path.endswith((".yaml", ".yml")):
        return (asked_by.parent if asked_by else Path()) / name_or_path
    for folder in (INSTALLED, FOLDER):
        file = folder / f"{name_or_path}.yaml"
        # One that extends another of its own name means that which comes along.
        if name_or_path in profile_names() and file.exists() and file != asked_by:
            return file
    problem = f"no profile {_shown(name_or_path)}; there are {', '.join(profile_names())}, or give a path to a .yaml"
    problem += _did_you_mean(name_or_path, profile_names())
    raise BadProfile([Mistake(str(asked_by or "profile"), None, "extends" if asked_by else "", problem)])


def _read_layers(path: Path) -> list[tuple[Path, CommentedMap]]:
    """A profile's document and those that it extends, its own first."""
    layers: list[tuple[Path, CommentedMap]] = []
    while True:
        document = _read(path)
        layers.append((path, document))
        parent = document.get("extends")
        if parent is None:
            return layers
        if not isinstance(parent, str) or len(layers) == LONGEST_INHERITANCE:
            problem = f"must be the name or path of a profile, in a chain of {LONGEST_INHERITANCE} at most"
            raise BadProfile([Mistake(str(path), _line(document, ("extends",)), "extends", problem)])
        path = _find(parent, path)


def _read(path: Path) -> CommentedMap:
    try:
        document = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadProfile([Mistake(str(path), None, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise BadProfile([Mistake(str(path), None, "", "is not UTF-8 text")]) from None
    except DuplicateKeyError as error:
        # The parser's own message quotes both values, and one of them may be a secret in the wrong place.
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise BadProfile([Mistake(str(path), line, "", "is not YAML: this key is there twice")]) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise BadProfile([Mistake(str(path), line, "", f"is not YAML: {error.problem}")]) from None
    except RecursionError:
        raise BadProfile([Mistake(str(path), None, "", "is nested too deep")]) from None
    except (YAMLError, ValueError) as error:
        raise BadProfile([Mistake(str(path), None, "", f"is not YAML: {error}")]) from None
    if not isinstance(document, CommentedMap):
        raise BadProfile([Mistake(str(path), 1, "", "must be a mapping of keys, like name: my-hub")])
    return document


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2; but a null stays: the spec knows where it is a choice, and where it takes away."""
    if not isinstance(patch, Mapping):
        return patch
    below = cast("Mapping[str, Any]", target) if isinstance(target, Mapping) else {}
    changes = cast("Mapping[str, Any]", patch)
    return {**below, **{key: _merge(below.get(key), value) for key, value in changes.items()}}


def _mistake(details: ErrorDetails, layers: Sequence[tuple[Path, CommentedMap]]) -> Mistake:
    location = _keys_of(details)
    key = ".".join(str(part) for part in location)
    for path, document in layers:
        line = _line(document, location)
        if line is not None:
            return Mistake(str(path), line, key, _problem(details))
    path, document = layers[0]
    return Mistake(str(path), _line(document, location[:-1]), key, _problem(details))


def _line(document: Any, location: Sequence[int | str]) -> int | None:
    """The line, from 1, of the key at a location; None where the document does not have it."""
    line: int | None = None
    for part in location:
        if not isinstance(document, Mapping | list) or (isinstance(document, Mapping) and part not in document):
            return None
        marks = cast("Any", document).lc.data or {}
        if part in marks:
            line = marks[part][0] + 1
        document = cast("Any", document)[part]
    return line


def _problem(details: ErrorDetails) -> str:
    kind, found = details["type"], _shown(details["input"])
    if _may_be_secret(details["loc"]):
        # People do write a password where its place belongs; it must not reach a log by way of our complaint.
        found = "(hidden)"
    if kind == "extra_forbidden":
        return "there is no such key" + _did_you_mean(str(details["loc"][-1]), _keys_at(details["loc"][:-1]))
    if kind in ("missing", "union_tag_not_found"):
        return "is missing" + _example(details["loc"])
    if kind == "union_tag_invalid":
        ctx = details.get("ctx", {})
        return f"found {ctx['tag']!r}, allowed is {ctx['expected_tags']}"
    if kind == "literal_error":
        return f"found {found}, allowed is {details.get('ctx', {})['expected']}"
    message = details["msg"].removeprefix("Value error, ")
    return message if isinstance(details["input"], Mapping) else f"found {found}: {message}" + _example(details["loc"])


def _may_be_secret(location: Sequence[int | str]) -> bool:
    ends = range(1, len(location) + 1)
    return any(_schema_at(location[:end]).get("title") == SecretRef.__name__ for end in ends)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


@cache
def _hub_schema() -> dict[str, Any]:
    return Hub.model_json_schema()


def _schema_at(location: Sequence[int | str]) -> dict[str, Any]:
    """The piece of the spec's JSON Schema that describes a location of pydantic's; empty where there is none."""
    schema = _hub_schema()
    definitions, piece = schema["$defs"], schema
    for part in location:
        piece = _step(piece, part)
        described = piece
        for option in (piece, *piece.get("anyOf", ())):
            if "$ref" in option:
                piece = {**described, **definitions[option["$ref"].rsplit("/", 1)[1]]}
    return piece


def _step(piece: dict[str, Any], part: int | str) -> dict[str, Any]:
    """One step down: into a list, into one kind of what has several, or to a key."""
    if isinstance(part, int):
        return piece.get("items", {})
    if "discriminator" in piece:
        return {"$ref": piece["discriminator"]["mapping"].get(part, "/" + PasswordIdentity.__name__)}
    # A mapping whose keys are the user's own has one piece for all of them.
    return piece.get("properties", {}).get(part) or next(iter(piece.get("patternProperties", {}).values()), {})


def _keys_of(details: ErrorDetails) -> tuple[int | str, ...]:
    """The keys that lead to a mistake. Pydantic also names the kind that it took a part for, and a bad key itself."""
    location = details["loc"]
    keys = tuple(
        part
        for index, part in enumerate(location)
        if part != "[key]" and "discriminator" not in _schema_at(location[:index])
    )
    return (*keys, "kind") if details["type"].startswith("union_tag") else keys


def _keys_at(location: Sequence[int | str]) -> list[str]:
    return list(_schema_at(location).get("properties", ()))


def _example(location: Sequence[int | str]) -> str:
    examples = _schema_at(location).get("examples")
    return f" (for example {_shown(examples[0])})" if examples else ""


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else (f"; known are {', '.join(known)}" if known else "")
