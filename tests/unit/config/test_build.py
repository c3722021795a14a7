"""What a profile may say of Harbor and of a build, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.profiles import BadProfile, load_profile
from config.registry import Severity

HARBOR = "harbor: {user: hubwright, password: {env: HARBOR}}"
BUILD = "build: {base: quay.io/jupyter/minimal-notebook:hub-5, locks: locks}"


def _load(folder: Path, text: str) -> str:
    file = folder / "hub.yaml"
    file.write_text(f"extends: iav-v1\nname: hub\n{text}\n")
    try:
        load_profile(str(file))
    except BadProfile as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"registry: {{{HARBOR}}}\nimage: {{{BUILD}}}", ""),
        (f"image: {{{BUILD}}}", "image.build needs registry.harbor"),
        (f"registry: {{{HARBOR}}}\nimage: {{reference: r.io/notebook:v1, {BUILD}}}", "needs a project"),
        (
            f"registry: {{{HARBOR}}}\nimage: {{reference: r.io/a/b@sha256:{'0' * 64}, {BUILD}}}",
            "needs image.reference by a tag",
        ),
        (f"registry: {{{HARBOR[:-1]}, renew_days: 90}}}}", "must be less than robot_days"),
        (f"registry: {{{HARBOR}}}\nimage: {{{BUILD[:-1]}, lists: [a/own.txt]}}}}", "the name own is taken"),
        (f"registry: {{{HARBOR}}}\nimage: {{{BUILD[:-1]}, lists: [a/x.txt, b/x.txt]}}}}", "the name x is taken"),
        (f"registry: {{{HARBOR}}}\nimage: {{{BUILD[:-1]}, packages: ['--index-url=x']}}}}", "image.build.packages"),
        (
            f"registry: {{{HARBOR[:-1]}, retention: {{schedule: '5 0 3 * * *'}}}}}}",
            "registry.harbor.retention.schedule",
        ),
    ],
)
def test_a_build_is_whole_or_told_to_be(tmp_path: Path, text: str, said: str) -> None:
    found = _load(tmp_path, text)
    assert said in found if said else found == ""


def test_severities_are_in_the_order_that_harbor_has() -> None:
    assert Severity.CRITICAL.rank > Severity.HIGH.rank > Severity.MEDIUM.rank > Severity.LOW.rank > Severity.NONE.rank
