from pathlib import Path

import pytest

from deployments.sandbox import removal
from deployments.sandbox.ownership import sole_command, write_owner
from deployments.sandbox.paths import Paths


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A sandbox that was killed, on a machine whose cgroups, mounts and links are none of this test's business."""
    for name in ("kill_processes", "delete_cgroups"):
        monkeypatch.setattr(removal.cgroup, name, lambda: None)
    monkeypatch.setattr(removal, "delete_network", lambda: None)
    for name in ("SHIMS", "POD_LOG_LINKS", "CNI_RESULTS"):
        monkeypatch.setattr(removal, name, tmp_path / "machine" / name)
        (tmp_path / "machine" / name).mkdir(parents=True)
    paths = Paths(tmp_path / "clone" / ".sandbox", tmp_path / "run")
    paths.state.mkdir(parents=True)
    return paths


def test_what_a_killed_sandbox_left_goes_and_the_lock_stays(paths: Paths) -> None:
    task = paths.run / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io" / "1"
    task.mkdir(parents=True)
    socket = removal.SHIMS / "s" / "abc"
    socket.parent.mkdir()
    socket.touch()
    (task / "address").write_text(f"unix://{socket}")
    with sole_command(paths):
        write_owner(paths)
        removal.remove(paths)
        assert list(paths.run.iterdir()) == [paths.lock]
    assert not removal.SHIMS.exists()


def test_of_what_others_keep_in_the_same_places_nothing_goes(paths: Paths) -> None:
    theirs = [removal.CNI_RESULTS / "other-1-eth0", removal.POD_LOG_LINKS / "theirs.log", removal.SHIMS / "theirs"]
    ours = [removal.CNI_RESULTS / "hubwright-2-eth0", removal.CNI_RESULTS / "cni-loopback-2-lo"]
    for file in (theirs[0], theirs[2], *ours):
        file.touch()
    theirs[1].symlink_to("/var/log/pods/other")
    link = removal.POD_LOG_LINKS / "ours.log"
    link.symlink_to(paths.logs / "pods" / "a")
    with sole_command(paths):
        removal.remove(paths)
    assert not any(file.exists() for file in ours)
    assert not link.is_symlink()
    assert all(file.exists() or file.is_symlink() for file in theirs)
