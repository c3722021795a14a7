import gzip
import io
import os
import tarfile
from pathlib import Path

from deployments.sandbox.contents import cluster_objects, pack_chart


def test_a_chart_packs_to_the_same_bytes_whenever_it_is_packed(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("name: a\n")
    (tmp_path / "templates" / "x.yaml").write_text("x: 1\n")
    first = pack_chart(tmp_path, "a")
    os.utime(tmp_path / "Chart.yaml", (1, 1))
    assert pack_chart(tmp_path, "a") == first
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first))) as archive:
        assert archive.getnames() == ["a/Chart.yaml", "a/templates/x.yaml"]


def test_another_chart_packs_to_other_bytes(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("name: a\n")
    first = pack_chart(tmp_path, "a")
    (tmp_path / "Chart.yaml").write_text("name: b\n")
    assert pack_chart(tmp_path, "a") != first


def test_the_cluster_has_one_default_storage_class() -> None:
    [storage] = [wanted for wanted in cluster_objects() if wanted.kind.name == "StorageClass"]
    assert storage.name == "standard"
    assert storage.body["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
