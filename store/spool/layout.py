"""What lies where in a spool's folder, and how small files get there durably.

<home>/spool/<uuid>/LOCK             held by the process that appends
                    META.json        who made it, its salt, where its ring is
                    models/0.json    what was declared, by index
                    0000000001.seg   segments; 0000000001.seg.zst when compressed
                    0000000001.sum   what a sealed segment holds, so that it need not be read to be counted
<memory>/driftline-<uuid>.ring       ring and page of positions
<memory>/driftline-<uuid>.overflow   what did not fit into the ring
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import orjson

from driftline.store.errors import SpoolError

FORMAT: Final = 2
COMPRESSIBLE_SINCE: Final = 2  # a driftline that reads only format 1 would not see compressed segments
LOCK_NAME: Final = "LOCK"
META_NAME: Final = "META.json"
MODELS_NAME: Final = "models"
SEGMENT_SUFFIX: Final = ".seg"
COMPRESSED_SUFFIX: Final = ".seg.zst"
SUMMARY_SUFFIX: Final = ".sum"


@dataclass(frozen=True, slots=True)
class Meta:
    """What ``META.json`` holds; ``salt`` is hexadecimal and secret: whoever knows it can forge records."""

    uuid: str
    host: str
    pid: int
    started_at_us: int
    salt: str
    ring: str
    overflow: str
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the meta data of the spool in ``folder``.

        Raises:
            SpoolError: missing, malformed or of another format.
        """
        path = folder / META_NAME
        try:
            meta = cls(**orjson.loads(path.read_bytes()))
            bytes.fromhex(meta.salt)
        except (OSError, TypeError, ValueError) as error:
            raise SpoolError(
                f"{path} cannot be read ({type(error).__name__}): restore it, or move the folder away from the spools"
            ) from error
        if not 1 <= meta.format <= FORMAT:
            raise SpoolError(
                f"{folder} is a spool of format {meta.format}, this driftline reads 1 to {FORMAT}: load it "
                "with the driftline that wrote it"
            )
        return meta

    def write(self, folder: Path) -> None:
        write_durably(folder / META_NAME, orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after any crash it is there whole, or is not there."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with memoryview(content) as left:
            written = 0
            while written < len(left):
                written += os.write(descriptor, left[written:])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
