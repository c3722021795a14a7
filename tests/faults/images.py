"""The fault of an image that somebody deletes from the registry while a release to go back to names it."""

from __future__ import annotations

import ssl
import subprocess

import httpx

from deployments.sandbox.addresses import REGISTRY, REGISTRY_URL
from tests.faults.faults import expect
from tests.faults.stage import Stage
from tests.sandbox.conftest import Ended

REPOSITORY = "iav/short-lived"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def deleted_image(stage: Stage) -> Ended:
    """The nodes have the image still, so that going back goes well; what it is told by is its digest."""
    _copy(stage)
    with stage.changed(image={"reference": f"{REGISTRY}/{REPOSITORY}:v1"}):
        ended = stage.deploy()
        expect(ended.code == 0, "there is one to go back to", ended)
    target = stage.records()[0]
    ended = stage.deploy()
    expect(ended.code == 0, "there is one to go back from", ended)
    _delete(stage)
    ended = stage.flow("rollback", "--to", str(target.revision))
    expect(ended.code == 0, "it goes back", ended)
    return ended


def _copy(stage: Stage) -> None:
    """The registry has the notebook image under a name of its own."""
    certificates = str(stage.sandbox.paths.registry_certificates)
    argv = [
        "skopeo", "--insecure-policy", "copy", "--src-cert-dir", certificates, "--dest-cert-dir", certificates,
        f"docker://{REGISTRY}/iav/base-notebook:v1", f"docker://{REGISTRY}/{REPOSITORY}:v1",
    ]  # fmt: skip
    subprocess.run(argv, env=stage.sandbox.environment, capture_output=True, timeout=120, check=True)


def _delete(stage: Stage) -> None:
    trust = ssl.create_default_context(cafile=stage.sandbox.paths.ca)
    with httpx.Client(base_url=f"{REGISTRY_URL}/v2/{REPOSITORY}/manifests", verify=trust, timeout=30) as registry:
        digest = registry.head("/v1", headers={"Accept": MANIFEST}).headers["Docker-Content-Digest"]
        registry.delete(f"/{digest}").raise_for_status()
        assert registry.head("/v1", headers={"Accept": MANIFEST}).status_code == 404
