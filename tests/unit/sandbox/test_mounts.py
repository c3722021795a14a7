from pathlib import Path

from deployments.sandbox.mounts import mounts_below

MOUNTINFO = """\
22 27 0:20 / /proc rw,relatime - proc proc rw
90 27 254:0 /a /clone/.sandbox/kubelet/pods/1/volume rw shared:1 - ext4 /dev/vda rw
91 27 0:50 / /run/hubwright/containerd/task/1/rootfs rw - overlay overlay rw
92 91 0:51 / /run/hubwright/containerd/task/1/rootfs/dev rw - tmpfs tmpfs rw
93 27 0:4 net:[1] /run/netns/hubwright rw - nsfs nsfs rw
94 27 0:52 / /clone/.sandbox\\040two/volume rw - tmpfs tmpfs rw
"""


def test_mounts_are_found_below_the_folders_only_and_deepest_first() -> None:
    found = mounts_below(MOUNTINFO, [Path("/clone/.sandbox"), Path("/run/hubwright")])
    assert found == [
        Path("/run/hubwright/containerd/task/1/rootfs/dev"),
        Path("/run/hubwright/containerd/task/1/rootfs"),
        Path("/clone/.sandbox/kubelet/pods/1/volume"),
    ]


def test_a_blank_in_a_mount_point_is_read_as_the_kernel_writes_it() -> None:
    assert mounts_below(MOUNTINFO, [Path("/clone/.sandbox two")]) == [Path("/clone/.sandbox two/volume")]


def test_what_was_mounted_over_another_goes_first() -> None:
    twice = "1 0 0:1 / /x/a rw - tmpfs one rw\n2 1 0:2 / /x/a rw - tmpfs two rw\n"
    assert mounts_below(twice, [Path("/x")]) == [Path("/x/a"), Path("/x/a")]
