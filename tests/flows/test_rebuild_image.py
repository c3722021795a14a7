"""The rebuild-image flow in Prefect: what it skips, what it builds, and what keeps an image from its tag."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.flows import Flow

import flows.rebuild_image as module
from config.images import PinnedImage
from config.profiles import profile_names
from flows import registry
from flows.converge import converge
from flows.deploy import deploy
from flows.follow_tags import follow_tags
from flows.lock_image import lock_image
from flows.renew_robots import renew_robots
from flows.rollback import rollback
from flows.teardown import teardown
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import Permanent
from tasks.core.fence import Fence, FenceLost
from tasks.core.problems import NotReady, Problem
from tasks.image.inputs import Inputs
from tasks.image.locks import Locks
from tasks.image.phase import BuiltImage
from tasks.image.signature import MadeSignature
from tasks.registry.gate import Decision, Finding, Verdict
from tasks.registry.scan import ScanReport
from tasks.release.state import ChartArchive
from tests.flows.steps import CHART, fail, stand_in

OLD, NEW = (f"sha256:{digit * 64}" for digit in "ab")
BASE = PinnedImage("r.test", "base", "sha256:" + "0" * 64)
BUILT = BuiltImage("sha256:" + "c" * 64, ("sha256:" + "d" * 64,))
CLEAN = ScanReport("image", True, Verdict(True), "no vulnerability was found")
FINDING = Finding("CVE-1", "Critical", "openssl", "3.0", "3.1", "", Decision.STOPS, "nobody allowed it")
DIRTY = ScanReport("image", True, Verdict(False, (FINDING,)), "1 vulnerability was found")
LOOKS = ["pin_base", "fetch_chart", "look_at_harbor", "gather_inputs"]
BUILDS = ["check_engine", "read_base", "fetch_packages", "build_image", "push_image", "confirm_push"]
VOUCHES = ["has_sbom", "scan_image", "sign_image"]


def inputs() -> Inputs:
    """Of each test's own, since Prefect remembers by them."""
    return Inputs(
        BASE, "5.5.0", cuda=False, files={"Containerfile": uuid4().bytes}, locks=Locks("3", "x", {}, {}, (), {})
    )


@dataclass
class Steps:
    """What each step of the flow answers, and which were called."""

    monkeypatch: pytest.MonkeyPatch
    calls: list[str] = field(default_factory=list[str])
    fences: list[str] = field(default_factory=list[str])
    waited: bool = False

    def answer(self, **answers: Any) -> None:
        for name, answer in answers.items():
            act: Callable[[], Any] = answer if callable(answer) else lambda answer=answer: answer
            self.monkeypatch.setattr(module, name, stand_in(name, act, self.calls))

    @contextmanager
    def fence(self, _hub: object, what: str = "") -> Generator[Fence]:
        self.fences.append(what)
        yield cast("Fence", SimpleNamespace(waited=self.waited, check=lambda: None))

    def since(self, name: str) -> list[str]:
        """What was called after a step."""
        return self.calls[self.calls.index(name) + 1 :]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps(monkeypatch)
    chart = ChartArchive(CHART.path, CHART.title, CHART.digest, "", "5.5.0")
    steps.answer(
        pin_base=BASE, fetch_chart=chart, look_at_harbor=Plan(), gather_inputs=inputs(), ensure_namespace=Plan(),
        set_up_if_needed=None, find_image=None, check_engine=(), read_base=None, fetch_packages={}, build_image=BUILT,
        push_image=None, confirm_push=NEW, has_sbom=False, describe_image=b"{}", attach_sbom=None, scan_image=CLEAN,
        sign_image=None, attach_signature=True, tag_image=True,
    )  # fmt: skip
    monkeypatch.setattr(module, "fence_of", steps.fence)
    return steps


def test_what_harbor_lacks_is_built_vouched_for_and_tagged_in_this_order(steps: Steps) -> None:
    result = module.rebuild_image("sandbox")
    assert sorted(steps.calls[: len(LOOKS)]) == sorted(LOOKS)
    assert steps.calls[len(LOOKS)] == "set_up_if_needed"
    assert steps.since("ensure_namespace") == [
        *BUILDS, "has_sbom", "describe_image", "attach_sbom", "scan_image", "sign_image", "tag_image",
    ]  # fmt: skip
    assert result.built
    assert result.image.endswith(f"@{NEW}")
    assert steps.fences == ["image"]


def test_nothing_is_built_when_harbor_has_the_image_of_the_same_inputs(steps: Steps) -> None:
    steps.answer(find_image=NEW, has_sbom=True)
    result = module.rebuild_image("sandbox")
    assert not result.built
    assert steps.since("find_image") == [*VOUCHES, "tag_image"]
    assert steps.fences == []


def test_force_builds_although_harbor_has_it(steps: Steps) -> None:
    steps.answer(find_image=OLD)
    assert module.rebuild_image("sandbox", force=True).built
    assert "build_image" in steps.calls


def test_force_builds_although_it_waited_when_nobody_else_built_it(steps: Steps) -> None:
    """Whoever had the fence may have failed: what Harbor had before is not what was asked for."""
    steps.waited = True
    steps.answer(find_image=OLD)
    result = module.rebuild_image("sandbox", force=True)
    assert "build_image" in steps.calls
    assert (result.built, result.image.endswith(f"@{NEW}")) == (True, True)


def test_a_tag_that_somebody_moved_is_noticed_and_the_image_built_again(steps: Steps) -> None:
    module.rebuild_image("sandbox")
    steps.calls.clear()
    steps.answer(find_image=OLD)
    result = module.rebuild_image("sandbox")
    assert "build_image" in steps.calls
    assert result.built
    assert result.image.endswith(f"@{NEW}")


def test_what_prefect_remembers_counts_only_while_harbor_has_it(steps: Steps) -> None:
    module.rebuild_image("sandbox")
    steps.calls.clear()
    steps.answer(find_image=None)
    assert module.rebuild_image("sandbox").built
    assert "build_image" in steps.calls


def test_who_waited_while_another_run_built_it_builds_nothing(steps: Steps) -> None:
    steps.waited = True
    answers = iter((None, NEW))
    steps.answer(find_image=lambda: next(answers))
    result = module.rebuild_image("sandbox")
    assert "build_image" not in steps.calls
    assert not result.built
    assert result.image.endswith(f"@{NEW}")


def test_a_run_that_lost_the_fence_while_it_built_moves_no_tag(steps: Steps) -> None:
    lost = FenceLost("fence", "hold it", "it is held by another", "look")

    @contextmanager
    def fence(_hub: object, _what: str = "") -> Generator[Fence]:
        yield cast("Fence", SimpleNamespace(waited=False, check=fail(lost)))

    steps.monkeypatch.setattr(module, "fence_of", fence)
    with pytest.raises(FenceLost):
        module.rebuild_image("sandbox")
    assert steps.calls[-1] == "confirm_push"


def test_everything_that_is_missing_is_told_at_once(steps: Steps) -> None:
    problem = Problem("Harbor", "it is in read-only mode", "wait")

    def look(_hub: object, looks: Any) -> Plan:
        looks.add((problem,))
        return Plan()

    steps.monkeypatch.setattr(module, "look_at_harbor", look)
    gone = Permanent("registry", "HEAD base", "404", "name another")
    steps.answer(pin_base=fail(gone), fetch_chart=fail(Permanent("helm", "pull", "no", "mend it")))
    with pytest.raises(NotReady, match="3 things") as raised:
        module.rebuild_image("sandbox")
    assert all(text in str(raised.value) for text in ("read-only", "HEAD base", "helm: pull"))
    assert "find_image" not in steps.calls


def test_harbor_is_set_up_under_the_hubs_fence_when_something_is_to_change(steps: Steps) -> None:
    steps.answer(look_at_harbor=Plan((Change.of(Action.CREATE, "Project thinkube"),)), find_image=NEW)
    steps.monkeypatch.setattr(module, "set_up_if_needed", registry.set_up_if_needed)
    for name in ("ensure_namespace", "set_up_harbor"):
        steps.monkeypatch.setattr(registry, name, stand_in(name, lambda: None, steps.calls))
    steps.monkeypatch.setattr(registry, "fence_of", steps.fence)
    module.rebuild_image("sandbox")
    assert steps.fences == [""]
    assert steps.calls.index("set_up_harbor") < steps.calls.index("find_image")


def test_an_engine_that_cannot_build_stops_the_run_before_anything_is_fetched(steps: Steps) -> None:
    steps.answer(check_engine=(Problem("disk", "it is full", "free some"),))
    with pytest.raises(NotReady, match="it is full"):
        module.rebuild_image("sandbox")
    assert not {"fetch_packages", "push_image", "tag_image"} & set(steps.calls)


def test_an_image_that_the_gate_stops_gets_neither_signature_nor_tag(steps: Steps) -> None:
    steps.answer(scan_image=DIRTY)
    with pytest.raises(Permanent, match="CVE-1"):
        module.rebuild_image("sandbox", deploy_after=True)
    assert steps.calls[-1] == "scan_image"
    assert "CVE-1" in str(_artifacts("findings-sandbox"))


def test_an_image_is_signed_where_the_profile_has_a_key(steps: Steps) -> None:
    steps.answer(sign_image=MadeSignature(b"payload", "signature", "key"))
    module.rebuild_image("sandbox")
    assert steps.since("sign_image") == ["attach_signature", "tag_image"]


def test_exactly_the_image_that_was_built_is_deployed_afterwards(steps: Steps) -> None:
    deployed: list[Any] = []
    steps.monkeypatch.setattr(module, "deploy", lambda profile, image: deployed.append((profile, image)))
    module.rebuild_image("sandbox", deploy_after=True)
    assert deployed == [("sandbox", NEW)]


def test_a_profile_that_does_not_say_how_its_image_is_made_is_told_so(steps: Steps) -> None:
    with pytest.raises(NotReady, match=r"image\.build"):
        module.rebuild_image("sandbox-iav-v1")
    assert steps.calls == []


def test_image_and_findings_are_pictures_in_the_ui(steps: Steps) -> None:
    assert not steps.calls
    module.rebuild_image("sandbox")
    assert any(NEW in data for data in _artifacts("image-sandbox"))
    assert _artifacts("findings-sandbox")


def test_a_run_that_nobody_told_otherwise_builds_only_what_changed_and_deploys_nothing() -> None:
    schema = module.rebuild_image.parameters.model_dump()["properties"]
    assert schema["force"]["default"] is schema["deploy_after"]["default"] is False


@pytest.mark.parametrize(
    "flow", [deploy, rollback, converge, teardown, module.rebuild_image, lock_image, renew_robots, follow_tags]
)
def test_the_ui_asks_for_each_parameter_with_a_title_and_a_sentence(flow: Flow[..., Any]) -> None:
    fields = flow.parameters.model_dump()["properties"]
    assert fields["profile"]["enum"] == profile_names()
    assert all(field["title"][0].isupper() and field["description"].endswith(".") for field in fields.values()), fields
    assert all("default" in field for name, field in fields.items() if name != "profile")
    assert flow.description


def _artifacts(key: str) -> list[str]:
    """What every run so far has shown under a key."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
        return [str(artifact.data) for artifact in found]
