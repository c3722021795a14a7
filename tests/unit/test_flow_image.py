"""The image that flows run in: what is in it, and by what it is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.images import PinnedImage
from deployments.flow_image import BAD_INPUT, CLONE, main, read_sources, tag_of

BASE = PinnedImage("registry.test", "python", f"sha256:{'0' * 64}")


def test_it_has_what_runs_and_nothing_of_the_sandbox() -> None:
    found = read_sources(CLONE)
    assert {
        "source/flows/deploy.py",
        "source/config/profiles/thinkube.yaml",
        "source/tasks/release/snippets/spawner.py",
        "source/deployments/prefect.yaml",
        "source/deployments/receiver/__main__.py",
        "source/image/notebook/Containerfile",
    } <= found.keys()
    parts = {name.split("/")[1] for name in found}
    assert parts == {"config", "flows", "tasks", "deployments", "image"}
    assert [name for name in found if "sandbox/" in name and "locks" not in name] == []
    assert [name for name in found if name.endswith(".pyc")] == []


def test_its_tag_changes_with_each_of_its_inputs(tmp_path: Path) -> None:
    helm, other = tmp_path / "helm", tmp_path / "other"
    helm.write_bytes(b"helm")
    other.write_bytes(b"another")
    files = {"Containerfile": b"FROM a", "source/flows/deploy.py": b"1"}
    tag = tag_of(BASE, files, helm)
    assert tag == tag_of(BASE, dict(reversed(files.items())), helm)
    changed = {
        tag_of(PinnedImage("registry.test", "python", f"sha256:{'1' * 64}"), files, helm),
        tag_of(BASE, files | {"source/flows/deploy.py": b"2"}, helm),
        tag_of(BASE, files | {"source/flows/more.py": b""}, helm),
        tag_of(BASE, files, other),
    }
    assert len(changed | {tag}) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--helm", "/nowhere/helm"], "--helm FILE"),
        (["--helm", __file__, "--user", "robot"], "--password-env"),
    ],
)
def test_bad_input_is_told_before_anything_is_built(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--registry", "registry.test/flows", *words]) == BAD_INPUT
    assert said in capsys.readouterr().err
