"""Look after the sealed segments of one home while they wait: count each once, compress them when they are many.

A thread of the loader's process does it. Not of the workers': they answer requests. Not the loader between two batches:
a database that falls silent would stop it in the very outage that it is for. Compression, reading and writing free the
interpreter's lock; what is left for the loader to wait for is a few milliseconds in a segment.

Invariants
----------
- It is alone in its home, as its loader is. The newest segment of a spool, which may still be written, is never
  touched; nothing is locked, nobody waits for it.
- The segments that are read last go first, those next to the loader last: it seldom meets what was just compressed.
- It rests three times as long as it worked and yields the processor to whoever wants it.
- A kill at any step loses nothing and doubles nothing; a segment that the disk refuses to compress stays plain.
- Spools of a format that was read by driftlines that know no compressed segments stay plain.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from driftline.store.errors import SpoolError
from driftline.store.spool.adoption import spools
from driftline.store.spool.budget import bytes_on_disk
from driftline.store.spool.census import summarise
from driftline.store.spool.compressed import compress_segment
from driftline.store.spool.layout import COMPRESSED_SUFFIX, COMPRESSIBLE_SINCE, SUMMARY_SUFFIX, Meta
from driftline.store.spool.record import Framing
from driftline.store.spool.segment import segment_numbers, segment_path, summary_path
from driftline.store.spool.settings import SpoolSettings

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
REST: Final = 3.0
_LOWEST_PRIORITY: Final = 19


class Upkeep:
    """Looks after the spools under ``folder``, in a thread while ``running``."""

    def __init__(self, folder: Path, settings: SpoolSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._left_alone: set[Path] = set()  # segments that do not shrink, or that the disk refuses
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look after the spools from a thread until the context is left; what has begun ends with the process."""
        thread = threading.Thread(target=self._run, name="driftline-upkeep", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)  # on Linux, of this thread alone
        complained = False
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.look()
                complained = False
            except Exception as error:  # whatever it is, it must not end the loader's process
                if not complained:
                    _log.warning("the spools' segments cannot be looked after (%s)", type(error).__name__)
                complained = True

    def look(self) -> None:
        """Count and compress what there is to count and to compress now."""
        backlog = [found for path in spools(self._folder) for found in self._sealed(path)]
        self._left_alone &= {segment_path(path, number) for _, path, number, _, _ in backlog}
        used = bytes_on_disk(self._folder)
        for rank, path, number, framing, compressible in sorted(backlog, key=lambda one: -one[0]):
            if self._stop.is_set():
                return
            plain, begin = segment_path(path, number), time.monotonic()
            if plain in self._left_alone:
                continue
            try:
                worked = rank > 0 and not summary_path(path, number).exists()
                if worked:
                    summarise(path, number, framing)
                if compressible and used > self._settings.compress_above_bytes and self._may_compress(plain):
                    if not compress_segment(path, number, framing):
                        self._left_alone.add(plain)
                    used, worked = bytes_on_disk(self._folder), True
            except FileNotFoundError:  # loaded and removed meanwhile
                continue
            except OSError as error:
                _log.warning("%s is not compressed or counted (%s): it stays as it is", plain, error.strerror)
                self._left_alone.add(plain)
            if worked:
                self._stop.wait(REST * (time.monotonic() - begin))

    def _sealed(self, path: Path) -> Iterator[tuple[int, Path, int, Framing, bool]]:
        """Yield the segments of a spool that nobody writes any more, with how many the loader meets before each."""
        try:
            meta, numbers = Meta.read(path), segment_numbers(path)
        except (SpoolError, FileNotFoundError):  # the loader says so, or has removed it
            return
        if numbers:
            _remove_leftovers(path, numbers[0])
        for rank, number in enumerate(numbers[:-1]):
            yield rank, path, number, Framing(bytes.fromhex(meta.salt)), meta.format >= COMPRESSIBLE_SINCE

    def _may_compress(self, plain: Path) -> bool:
        """Return whether there is something to compress, and so much room that the disk does not fill meanwhile."""
        if not plain.exists():
            return False
        disk = os.statvfs(self._folder)
        return plain.stat().st_size <= disk.f_bavail * disk.f_frsize


def _remove_leftovers(path: Path, first: int) -> None:
    """Remove counts of segments that were loaded while they were counted, and drafts of who was killed."""
    for draft in path.glob(f"*{COMPRESSED_SUFFIX}.tmp"):
        draft.unlink(missing_ok=True)
    for summary in path.glob(f"*{SUMMARY_SUFFIX}"):
        if summary.stem.isdigit() and int(summary.stem) < first:
            summary.unlink(missing_ok=True)
