"""What was pushed: artifacts, their tags and accessories, and what protects them."""

from __future__ import annotations

import hashlib
import json
import re

from deployments.sandbox.harbor.answers import Refusal
from deployments.sandbox.harbor.asks import Ask, Harbor
from deployments.sandbox.harbor.selectors import is_immutable
from deployments.sandbox.harbor.store import Row, Store, now
from deployments.sandbox.harbor.webhooks import announce

NEVER_PULLED = "0001-01-01T00:00:00.000Z"
CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
SBOM = "application/vnd.goharbor.harbor.sbom.v1"
ACCESSORIES = {
    SBOM: "sbom.harbor",
    "application/vnd.dev.cosign.artifact.sig.v1+json": "signature.cosign",
    "application/vnd.dev.sigstore.bundle.v0.3+json": "signature.cosign",
    "application/vnd.cncf.notary.signature": "signature.notation",
}
"""What an accessory is, by its artifact type or else by its configuration's media type."""
_SIGNATURE_TAG = re.compile(r"sha256-([a-f0-9]{64})\.sig")
SIGNED = "application/vnd.dev.cosign.simplesigning.v1+json"


def digest_of(body: bytes) -> str:
    """By what a registry knows these bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def record(store: Store, project: Row, name: str, body: bytes, media: str, config: Row) -> Row:
    """The artifact of a manifest that the registry has taken; ``config`` is what an image's configuration says."""
    manifest, moment = json.loads(body), now()
    repository = store.one("repositories", name=name) or store.add(
        "repositories", name=name, project_id=project["id"], pull_count=0, creation_time=moment
    )
    repository["update_time"] = moment
    digest, about = digest_of(body), manifest.get("config", {})
    blobs = [part for part in (about, *manifest.get("layers", ())) if part]
    record_blob(store, project, digest, len(body))
    for blob in blobs:
        record_blob(store, project, blob["digest"], blob["size"])
    seen = store.one("artifacts", repository_name=name, digest=digest)
    return seen or store.add(
        "artifacts", type="IMAGE" if about.get("mediaType") in CONFIGS or not about else "UNKNOWN",
        media_type=about.get("mediaType", media), manifest_media_type=media,
        artifact_type=manifest.get("artifactType") or about.get("mediaType", ""), project_id=project["id"],
        repository_id=repository["id"], repository_name=name, digest=digest,
        size=len(body) + sum(blob["size"] for blob in blobs), icon="", push_time=moment, pull_time=NEVER_PULLED,
        extra_attrs=config, annotations=manifest.get("annotations"), children=manifest.get("manifests", []),
        subject=manifest.get("subject", {}).get("digest", ""), blobs=[digest, *(blob["digest"] for blob in blobs)],
    )  # fmt: skip


def record_blob(store: Store, project: Row, digest: str, size: int) -> None:
    """The project has the blob."""
    if not store.one("blobs", project_id=project["id"], digest=digest):
        store.add("blobs", project_id=project["id"], digest=digest, size=size)


def record_signature(artifact: Row, manifest: Row, tag: str) -> None:
    """What has a layer of cosign's under cosign's tag is an accessory of the image that the tag means, there or not."""
    named = _SIGNATURE_TAG.fullmatch(tag)
    if named and SIGNED in [layer.get("mediaType") for layer in manifest.get("layers", ())]:
        artifact.update(subject=f"sha256:{named[1]}", signature=True)


def set_tag(store: Store, artifact: Row, name: str) -> None:
    """The tag is the artifact's, also when it was another's."""
    seen = store.one("tags", repository_id=artifact["repository_id"], name=name)
    if seen is None:
        seen = store.add("tags", repository_id=artifact["repository_id"], name=name, pull_time=NEVER_PULLED)
    if seen.get("artifact_id") != artifact["id"]:
        seen.update(artifact_id=artifact["id"], push_time=now())


def find(store: Store, name: str, reference: str) -> Row | None:
    """The artifact of a repository that a tag or digest means."""
    if reference.startswith("sha256:"):
        return store.one("artifacts", repository_name=name, digest=reference)
    repository = store.one("repositories", name=name)
    tag = repository and store.one("tags", repository_id=repository["id"], name=reference)
    return store.one("artifacts", id=tag["artifact_id"]) if tag else None


def immutable(store: Store, artifact: Row, tag: str) -> bool:
    """Whether a rule of the project protects the tag."""
    rules = store.rows("immutable_rules", project_id=artifact["project_id"])
    return is_immutable(rules, artifact["repository_name"].partition("/")[2], tag)


def accessories(store: Store, artifact: Row) -> list[Row]:
    """What refers to the artifact: signatures, lists of parts."""
    about = {"subject": artifact["digest"], "repository_name": artifact["repository_name"]}
    return [
        {
            "id": row["id"], "artifact_id": row["id"], "subject_artifact_id": artifact["id"],
            "subject_artifact_digest": row["subject"], "subject_artifact_repo": row["repository_name"],
            "size": row["size"], "digest": row["digest"], "icon": "", "creation_time": row["push_time"],
            "type": _kind(row),
        }
        for row in store.rows("artifacts", **about)
    ]  # fmt: skip


def _kind(row: Row) -> str:
    if row.get("signature"):
        return "signature.cosign"
    return ACCESSORIES.get(row["artifact_type"], ACCESSORIES.get(row["media_type"], "subject.accessory"))


def delete(harbor: Harbor, artifact: Row, by: tuple[str, str]) -> None:
    """The artifact, its tags and its accessories are gone. Raises Refusal when something protects it."""
    store = harbor.store
    tags = store.rows("tags", artifact_id=artifact["id"])
    if _parents(store, artifact):
        raise Refusal("VIOLATE_FOREIGN_KEY_CONSTRAINT", "the deleting artifact is referenced by others")
    for tag in tags:
        check_deletable(store, artifact, tag["name"])
    for accessory in accessories(store, artifact):
        forget(store, accessory["id"], artifact["project_id"])
    forget(store, artifact["id"], artifact["project_id"])
    announce(harbor, "DELETE_ARTIFACT", artifact, tags[0]["name"] if tags else artifact["digest"], by, {}, {})


def check_deletable(store: Store, artifact: Row, tag: str) -> None:
    """Raises Refusal when a rule protects the tag."""
    if immutable(store, artifact, tag):
        raise Refusal("PRECONDITION", f"the tag {tag} configured as immutable, cannot be deleted")


def standing(store: Store, name: str) -> list[Row]:
    """What stands for itself in a repository: no accessories, and no parts of an index but those with a tag."""
    rows = store.rows("artifacts", repository_name=name, subject="")
    return [row for row in rows if store.one("tags", artifact_id=row["id"]) or not _parents(store, row)]


def _parents(store: Store, artifact: Row) -> list[Row]:
    rows = store.rows("artifacts", repository_id=artifact["repository_id"])
    return [row for row in rows if artifact["digest"] in [child["digest"] for child in row["children"]]]


def forget(store: Store, artifact: int, project: int) -> None:
    """No row of the artifact is left, and no blob of the project that only it had. The registry keeps its bytes."""
    store.remove("tags", artifact_id=artifact)
    store.remove("scans", artifact_id=artifact)
    store.remove("artifacts", id=artifact)
    left = {digest for row in store.rows("artifacts", project_id=project) for digest in row["blobs"]}
    for blob in store.rows("blobs", project_id=project):
        if blob["digest"] not in left:
            store.remove("blobs", id=blob["id"])


def found(ask: Ask, pair: tuple[str, str]) -> Row:
    """The artifact that the path names, when the caller may do this in its project. Else raises Refusal."""
    project = ask.project(pair)
    name, reference = f"{project['name']}/{ask.path('repository')}", ask.path("reference")
    artifact = find(ask.store, name, reference)
    if artifact is None:
        raise Refusal("NOT_FOUND", f"artifact {name}{'@' if ':' in reference else ':'}{reference} not found")
    return artifact
