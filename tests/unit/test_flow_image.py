"""The image that flows run in: what is in it, by what it is known, and that only a tried one is pushed."""

from __future__ import annotations

import re
import tarfile
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from config.images import PinnedImage
from deployments import flow_image
from deployments.flow_image import (
    BAD_INPUT,
    CLONE,
    CONTEXT,
    DONE,
    LOCK,
    Wanted,
    ensure_flow_image,
    main,
    read_sources,
    tag_of,
)
from tasks.core.errors import Permanent
from tasks.image.locks import pins
from tasks.registry.distribution import OCI_MANIFEST, Descriptor

BASE = PinnedImage("registry.test", "python", f"sha256:{'0' * 64}")
PUSHED = Descriptor(OCI_MANIFEST, f"sha256:{'1' * 64}", 1)


class Registry:
    """A registry that has the image, or has it once it was pushed."""

    has: Descriptor | None = None

    def __init__(self, *_words: object) -> None:
        pass

    def read_descriptor(self, _repository: str, _tag: str) -> Descriptor | None:
        return Registry.has

    def close(self) -> None:
        pass


class Engine:
    """An engine that remembers what it was asked; it does not build a tag that has ``refuses`` in it."""

    refuses = "nothing"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.contexts: list[list[str]] = []
        self.arguments: list[Mapping[str, str]] = []

    def has_image(self, _reference: str) -> bool:
        return False

    def pull(self, reference: str, *_words: object) -> None:
        self.asked.append(f"pull {reference}")

    def read_architecture(self, _reference: str) -> str:
        return "arm64"

    def build(self, context: IO[bytes], tag: str, arguments: Mapping[str, str], *_hear: object) -> str:
        if self.refuses in tag:
            raise Permanent("container engine", f"build {tag}", "a test failed", "")
        with tarfile.open(fileobj=context) as archive:
            self.contexts.append(archive.getnames())
        self.arguments.append(arguments)
        self.asked.append("build trial" if tag.endswith(":trial") else "build")
        return "sha256:built"

    def push(self, _local: str, repository: str, *_words: object) -> None:
        self.asked.append(f"push {repository}")
        Registry.has = PUSHED


@pytest.fixture
def helm(tmp_path: Path) -> Path:
    file = tmp_path / "helm"
    file.write_bytes(b"helm")
    return file


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """What builds go to. The registry has nothing yet, and one wheel is all that is locked."""
    engine, wheel = Engine(), tmp_path / "a-1-py3-none-any.whl"
    wheel.write_bytes(b"wheel")

    @contextmanager
    def connect(*_words: object) -> Generator[Engine]:
        yield engine

    def fetch(_locks: object, base: Any, *_words: object) -> Mapping[str, tuple[Path, ...]]:
        assert (base.python, base.machine) == ("3.11", "aarch64")
        return {"flows": (wheel,)}

    monkeypatch.setattr(Registry, "has", None)
    monkeypatch.setattr(flow_image, "Registry", Registry)
    monkeypatch.setattr(flow_image.Engine, "connect", connect)
    monkeypatch.setattr(flow_image, "fetch_wheels", fetch)
    monkeypatch.setenv("HUBWRIGHT_REVISION", "abc")
    return engine


def _ensure(helm: Path) -> PinnedImage:
    return ensure_flow_image(Wanted("registry.test/flows", str(BASE), helm), lambda _line: None)


def test_one_that_is_there_is_not_built(engine: Engine, helm: Path) -> None:
    Registry.has = PUSHED
    assert str(_ensure(helm)) == f"registry.test/flows@{PUSHED.digest}"
    assert engine.asked == []


def test_a_new_one_is_built_tried_and_then_pushed(engine: Engine, helm: Path) -> None:
    assert _ensure(helm).digest == PUSHED.digest
    assert engine.asked == [f"pull {BASE}", "build", "build trial", "push registry.test/flows"]
    own, tests = engine.contexts
    assert {"Containerfile", LOCK, "helm", "wheels/a-1-py3-none-any.whl", "source/flows/deploy.py"} <= set(own)
    assert [name for name in own if name.startswith("tests/")] == []
    assert sorted(tests) == ["Containerfile", "test_image.py"]
    about = engine.arguments[0]
    assert (about["BASE"], about["REVISION"]) == (str(BASE), "abc")


def test_one_that_fails_its_trial_goes_nowhere(engine: Engine, helm: Path) -> None:
    engine.refuses = "trial"
    with pytest.raises(Permanent, match="a test failed"):
        _ensure(helm)
    assert engine.asked == [f"pull {BASE}", "build"]


def test_it_is_printed_alone_on_standard_output(engine: Engine, helm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--registry", "registry.test/flows", "--base", str(BASE), "--helm", str(helm)]) == DONE
    assert capsys.readouterr().out == f"registry.test/flows@{PUSHED.digest}\n"
    assert engine.asked[-1] == "push registry.test/flows"


def test_its_lock_names_each_package_by_hash_and_no_index() -> None:
    text = (CONTEXT / LOCK).read_text().replace("\\\n", " ")
    entries = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9.\[\]-]+==[^ ;]+( +--hash=sha256:[0-9a-f]{64})+ *", entry), entry


def test_its_lock_is_the_projects_own_and_what_only_developers_need_is_not_in_it() -> None:
    locked, all_of_them = dict(pins((CONTEXT / LOCK).read_text())), dict(pins((CLONE / LOCK).read_text()))
    project = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
    assert {str(canonicalize_name(Requirement(line).name)) for line in project["dependencies"]} <= locked.keys()
    assert locked.keys() & {"pytest", "ruff", "supervisor", "uv", "playwright"} == set()
    assert locked.keys() - all_of_them.keys() == {"dumb-init"}
    assert {name: all_of_them.get(name, version) for name, version in locked.items()} == locked


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


@pytest.mark.parametrize("word", ["--registry=r.io", "--registry=flows", "--base=python", "--base=r.io/python"])
def test_what_is_no_image_is_not_taken_for_one(word: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--registry", "registry.test/flows", "--helm", __file__, word])
