"""File systems of our own that fill up, freeze, fail and lose power; only as root, unmounted whatever happens."""

import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_EXT4_SHUTDOWN = 0x8004587D  # _IOR('X', 125, u32)
_WITHOUT_JOURNAL = 2


def _run(*command: object) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout.strip()


def _mount(*command: object) -> None:
    if os.geteuid():
        pytest.skip("mounting needs root")
    try:
        _run("mount", *command)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"no file system can be mounted here: {getattr(error, 'stderr', error)}")


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A file system in memory that can be filled to its last byte."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    try:
        yield folder
    finally:
        _run("umount", "--lazy", folder)


def fill_up(folder: Path) -> Path:
    """Take the last free byte and return the file that holds it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


@dataclass
class Ext4:
    """A journalling file system on a file."""

    image: Path
    folder: Path

    def mount(self) -> None:
        _mount("-o", "loop", self.image, self.folder)

    def unmount(self) -> None:
        """Unmount once nobody holds a file; what a failed disk did not take is gone."""
        for _ in range(50):
            if not os.path.ismount(self.folder):
                return
            if subprocess.run(["umount", self.folder], check=False, capture_output=True).returncode:
                time.sleep(0.1)
        _run("umount", "--lazy", self.folder)

    def freeze(self, seconds: float) -> subprocess.Popen[bytes]:
        """Stop all writing for a while; another process thaws it, because who waits for the disk cannot be killed."""
        script = 'fsfreeze -f "$1" && sleep "$2"; fsfreeze -u "$1"'
        return subprocess.Popen(["sh", "-c", script, "sh", self.folder, str(seconds)])

    def fail(self) -> None:
        """Let the file system find an error in itself: it turns read-only and stays so."""
        device = _run("findmnt", "--noheadings", "--output", "SOURCE", self.folder)
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("1")

    def cut_power(self) -> None:
        """Lose what the medium has not been asked to keep: neither dirty pages nor the journal are written any more."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_SHUTDOWN, struct.pack("I", _WITHOUT_JOURNAL))
        finally:
            os.close(descriptor)


@contextmanager
def ext4(folder: Path, megabytes: int = 64) -> Iterator[Ext4]:
    """Make, mount and, at the end, unmount one that turns read-only at an error."""
    folder.mkdir()
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    try:
        _run("mkfs.ext4", "-q", "-F", "-e", "remount-ro", image)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("mkfs.ext4 is missing")
    disk = Ext4(image, folder)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()
        image.unlink()
