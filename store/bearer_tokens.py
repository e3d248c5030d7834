"""Bearer tokens from a file that may change while the server runs.

One token per line, ``TOKEN`` or ``NAME:TOKEN``; empty lines and lines that begin with ``#`` are passed over.

Invariants
----------
- No token is kept, shown or logged: only SHA-256 digests are held; names and line numbers are what messages say.
- A presented token is compared with every digest, in time that does not depend on any of them.
- A file that is gone, broken or empty takes nothing away: the tokens that were read last stay in force, and the log
  says so once.
"""

import hashlib
import hmac
import logging
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

from driftline.store.errors import ConfigurationError

_LINE = re.compile(r"(?:(?P<name>[A-Za-z0-9_.@-]{1,64}):)?(?P<token>[A-Za-z0-9._~+/-]+=*)")  # RFC 6750, section 2.1
_SCHEME = b"bearer "
_MAX_FILE_BYTES = 1_000_000
_LOOK_SECONDS = 1.0  # between two looks at the file

_log = logging.getLogger("driftline.tokens")

Signature = tuple[int, ...]


class BearerTokens:
    """The tokens of one file.

    Args:
        path: the file.
        setting: the flag that named it, for messages.
        clock: seconds that only grow.

    Raises:
        ConfigurationError: there is no token in the file, or it cannot be read.
    """

    def __init__(self, path: Path, setting: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._setting = setting
        self._clock = clock
        self._looking = threading.Lock()
        self._signature, self._digests = _read(path, setting)
        self._look_at = clock() + _LOOK_SECONDS

    def __repr__(self) -> str:
        return f"BearerTokens({str(self._path)!r}, {len(self._digests)} tokens)"

    @property
    def names(self) -> tuple[str, ...]:
        """Who holds a token: the name, or ``line N`` where the file gives none."""
        return tuple(name for name, _ in self._digests)

    @property
    def readable_by_everyone(self) -> bool:
        return bool(self._path.stat().st_mode & stat.S_IROTH)

    def holder(self, authorization: bytes) -> str | None:
        """Return the name of the token in an ``Authorization`` header, None where it holds none of ours."""
        self._look()
        presented = authorization[len(_SCHEME) :].strip() if authorization[: len(_SCHEME)].lower() == _SCHEME else b""
        digest = hashlib.sha256(presented).digest()
        found = None
        for name, known in self._digests:
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def _look(self) -> None:
        """Read the file again if it is another than before; at most once a second, and by one thread."""
        if self._clock() < self._look_at or not self._looking.acquire(blocking=False):
            return
        try:
            self._look_at = self._clock() + _LOOK_SECONDS
            signature = _signature_of(self._path)
            if signature != self._signature:
                self._signature = signature  # a broken file is told once, not every second
                self._signature, self._digests = _read(self._path, self._setting)
                _log.warning("%s was read again: tokens of %s", self._path, ", ".join(self.names))
        except ConfigurationError as error:
            _log.error("the tokens that were read before stay in force: %s", error)
        finally:
            self._looking.release()


def _signature_of(path: Path) -> Signature:
    """Return what changes with the file; empty where there is none."""
    try:
        return _signature(os.stat(path))
    except OSError:
        return ()


def _signature(found: os.stat_result) -> Signature:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(path: Path, setting: str) -> tuple[Signature, tuple[tuple[str, bytes], ...]]:
    """Return the file's signature, taken before it is read, and name and digest of each token."""
    try:
        with path.open("rb") as file:
            signature = _signature(os.fstat(file.fileno()))
            text = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"the token file {path} cannot be read ({error.strerror}): correct `{setting}` or the file's owner"
        ) from error
    if len(text) > _MAX_FILE_BYTES:
        raise ConfigurationError(f"the token file {path} is larger than {_MAX_FILE_BYTES} bytes: correct `{setting}`")
    tokens = _parse(text, path)
    if not tokens:
        raise ConfigurationError(
            f"there is no token in {path}: write one per line, `openssl rand -hex 32 >> {path}` makes one"
        )
    return signature, tokens


def _parse(text: bytes, path: Path) -> tuple[tuple[str, bytes], ...]:
    tokens = []
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigurationError(
                f"line {number} of {path} should be TOKEN or NAME:TOKEN, of letters, digits and -._~+/ (`=` at its end)"
            )
        tokens.append((match["name"] or f"line {number}", hashlib.sha256(match["token"].encode()).digest()))
    return tuple(tokens)
