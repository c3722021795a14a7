"""Which tags and repositories a rule means. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from deployments.sandbox.harbor.store import Row

_TOKENS = re.compile(r"\{[^{}]*\}|\*\*|\*|\?|.")
_WILD = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


def matches(pattern: str, text: str) -> bool:
    """Whether the text is what a doublestar pattern means; alternatives stand in braces."""
    return re.fullmatch("".join(map(_expression, _TOKENS.findall(pattern))), text) is not None


def _expression(token: str) -> str:
    if token.startswith("{") and token.endswith("}"):
        parts = ("".join(map(_expression, _TOKENS.findall(part))) for part in token[1:-1].split(","))
        return f"(?:{'|'.join(parts)})"
    return _WILD.get(token) or re.escape(token)


def selects_repository(rule: Row, repository: str) -> bool:
    """Whether a rule is about a repository, given without the name of its project."""
    selectors: Sequence[Row] = (rule.get("scope_selectors") or {}).get("repository", ())
    return all(matches(one["pattern"], repository) == (one["decoration"] == "repoMatches") for one in selectors)


def selects_tags(selector: Row, tags: Sequence[str]) -> bool:
    """Whether a selector takes an artifact with these tags; of one without a tag, its ``extras`` say."""
    wanted = selector["decoration"] == "matches"
    if not tags:
        extras = json.loads(selector.get("extras") or "{}")
        return bool(extras.get("untagged", True)) == wanted
    return any(matches(selector["pattern"], tag) == wanted for tag in tags)


def is_immutable(rules: Sequence[Row], repository: str, tag: str) -> bool:
    """Whether one of a project's rules protects a tag. Only the first selector of each kind counts."""
    for rule in rules:
        scopes = {"scope_selectors": {"repository": rule["scope_selectors"]["repository"][:1]}}
        tag_selectors = rule["tag_selectors"][:1]
        taken = bool(tag_selectors) and selects_tags(tag_selectors[0], [tag])
        if not rule.get("disabled") and taken and selects_repository(scopes, repository):
            return True
    return False
