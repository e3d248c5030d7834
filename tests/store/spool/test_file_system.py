"""A spool belongs on a disk of its machine: network file systems are told from their mounts."""

from pathlib import Path

import pytest

from driftline.store.errors import SpoolError
from driftline.store.spool.file_system import file_system, refuse_network

# As kernels 5.15 and 6.1 write it: optional fields, propagation, a bind mount, an overlay's root, escaped blanks,
# options with slashes and colons, a mount over another.
MOUNTINFO = r"""
22 28 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
23 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
31 28 0:26 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw,inode64
95 28 259:1 / /boot/efi rw,relatime shared:49 - vfat /dev/nvme0n1p1 rw,fmask=0077,dmask=0077,codepage=437
120 28 0:51 / /srv/nfs3 rw,relatime shared:61 - nfs filer.example.com:/export/a rw,vers=3,rsize=1048576,hard,proto=tcp
121 28 0:52 / /srv/team rw,relatime shared:62 - nfs4 10.0.3.7:/team rw,vers=4.2,clientaddr=10.0.3.21,local_lock=none
122 121 259:3 / /srv/team/fast rw,noatime shared:63 - xfs /dev/nvme1n1 rw,attr2,inode64,logbufs=8,noquota
123 28 0:53 / /mnt/win\040share rw,relatime shared:64 - cifs //nas/public rw,vers=3.1.1,cache=strict,username=svc
124 28 0:54 / /home/ada/remote rw,nosuid,nodev,relatime shared:65 - fuse.sshfs ada@box:/data rw,user_id=1000
125 28 0:55 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000,access=client,msize=65536
126 28 0:56 / /mnt/smb rw,relatime master:3 propagate_from:2 - smb3 //srv/x rw
127 28 0:57 / /mnt/ceph rw,relatime shared:68 - ceph mon1,mon2:/ rw,name=admin,secret=<hidden>,acl
128 28 259:2 /var/data /data rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
129 128 0:58 / /data rw,relatime shared:70 - nfs4 10.0.3.7:/data rw
130 28 0:59 / /var/lib/docker/overlay2/abc/merged rw,relatime - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/u
131 28 0:60 / /mnt/ro rw,relatime shared:71 - fuse.gcsfuse bucket - one rw,user_id=0
132 28 0:61 / /mnt/virtio rw,relatime shared:72 - virtiofs hostshare rw
""".strip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/nfs3/home", "nfs"),
        ("/srv/team/driftline/spool", "nfs4"),
        ("/srv/team/fast/spool", "xfs"),
        ("/srv/teamwork/spool", "ext4"),
        ("/mnt/win share/x", "cifs"),
        ("/home/ada/remote", "fuse.sshfs"),
        ("/home/ada/local", "ext4"),
        ("/mnt/c/Users", "9p"),
        ("/mnt/smb/a", "smb3"),
        ("/mnt/ceph", "ceph"),
        ("/data/home", "nfs4"),
        ("/var/lib/docker/overlay2/abc/merged/app", "overlay"),
        ("/mnt/ro/x", "fuse.gcsfuse"),
        ("/mnt/virtio/x", "virtiofs"),
        ("/", "ext4"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTINFO) == kind


@pytest.mark.parametrize(
    "path",
    ["/srv/nfs3", "/srv/team", "/mnt/win share", "/home/ada/remote", "/mnt/c", "/mnt/smb", "/mnt/ceph", "/mnt/ro"],
)
def test_a_network_file_system_is_refused_in_one_line(tmp_path: Path, path: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTINFO)
    with pytest.raises(SpoolError, match=r"is on a network file system \(.+\).*: choose a local disk with") as refused:
        refuse_network(Path(path) / "spool", mounts)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "path", ["/", "/srv/team/fast", "/dev/shm", "/mnt/virtio", "/var/lib/docker/overlay2/abc/merged"]
)
def test_a_file_system_of_this_machine_passes(tmp_path: Path, path: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTINFO)
    refuse_network(Path(path) / "spool", mounts)


def test_this_machines_own_disk_passes(tmp_path: Path) -> None:
    refuse_network(tmp_path)
    assert file_system(Path("/proc/self"), Path("/proc/self/mountinfo").read_text()) == "proc"


def test_where_mounts_are_not_told_nothing_is_refused(tmp_path: Path) -> None:
    refuse_network(tmp_path, tmp_path / "no such file")


def test_no_spool_is_made_on_a_network(home: Path, open_spool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"28 1 259:2 / / rw - ext4 /dev/sda rw\n29 28 0:51 / {home.resolve()} rw - nfs4 filer:/x rw\n")
    monkeypatch.setattr("driftline.store.spool.spool.refuse_network", lambda folder: refuse_network(folder, mounts))
    with pytest.raises(SpoolError, match="network file system"):
        open_spool()
    assert list(home.iterdir()) == []
