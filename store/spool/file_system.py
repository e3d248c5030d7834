"""Which file system a folder lies on, so that a spool on a network is refused.

A spool's owner is who holds ``flock`` on it. Over a network that lock is advisory at best, silently local at worst, and
two machines would load one spool twice, or adopt one that lives.
"""

import re
from pathlib import Path
from typing import Final

from driftline.store.errors import SpoolError

MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb2", "smb3", "smbfs",
})  # fmt: skip
_NETWORK_IN_USER_SPACE: Final = frozenset({
    "afp", "ceph", "cephfs", "curlftpfs", "davfs", "gcsfuse", "glusterfs", "goofys", "juicefs", "mount-s3",
    "mountpoint-s3", "nfs", "rclone", "s3fs", "smbnetfs", "sshfs",
})  # fmt: skip
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def refuse_network(folder: Path, mounts: Path = MOUNTS) -> None:
    """Check that ``folder``, or its nearest parent that exists, is on a file system of this machine.

    Raises:
        SpoolError: it is on a network file system.
    """
    try:
        mountinfo = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # no Linux: not known, so not refused
        return
    kind = file_system(folder.resolve(), mountinfo)
    if kind in _NETWORK or kind.removeprefix("fuse.") in _NETWORK_IN_USER_SPACE:
        raise SpoolError(
            f"{folder} is on a network file system ({kind}), where locks do not tell who owns a spool: "
            "choose a local disk with `--home` or DRIFTLINE_HOME"
        )


def file_system(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that holds ``path``; empty when none is mounted there.

    Args:
        path: absolute, without links.
        mountinfo: lines as in ``/proc/self/mountinfo``; of two mounts on one point the later one is on top.
    """
    found, depth = "", -1
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        point = Path(_unescaped(fields.split(" ")[4])) if fields.count(" ") > 4 else None
        if point is not None and path.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = rest.split(" ")[0], len(point.parts)
    return found


def _unescaped(text: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    return _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), text)
