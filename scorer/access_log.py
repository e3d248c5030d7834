"""uvicorn's access lines, written many at a time.

A line of Python's logging costs about 20 µs, for a record, a format and a system call of its own: as much as all else
that uvicorn does for a request. The lines here are the same, up to ``_FLUSH_SECONDS`` late.

Invariants
----------
- Who configured uvicorn's logging otherwise (colours on a terminal, a format, a level, a file) gets that, unchanged.
- A line is written when the process ends in order; a killed process loses those of the last moment.
"""

import asyncio
import atexit
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TextIO, cast

_LOGGER = "uvicorn.access"
_FORM = '%s - "%s %s HTTP/%s" %d'  # uvicorn's
_FLUSH_SECONDS = 0.05
_PHRASES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class AccessLines:
    """What stands in for ``logger.info`` of uvicorn's access logger; for the event loop's thread."""

    def __init__(self, stream: TextIO, otherwise: Callable[..., None]) -> None:
        self._stream = stream
        self._otherwise = otherwise
        self._lines: list[str] = []

    @classmethod
    def install(cls) -> None:
        """Take over the access logger where it is as uvicorn set it up, and no terminal wants colours."""
        from uvicorn.config import LOGGING_CONFIG
        from uvicorn.logging import AccessFormatter

        logger = logging.getLogger(_LOGGER)
        handler = logger.handlers[0] if len(logger.handlers) == 1 and not logger.propagate else None
        form = handler.formatter if handler is not None else None
        if (
            type(handler) is logging.StreamHandler
            and type(form) is AccessFormatter
            and form._fmt == LOGGING_CONFIG["formatters"]["access"]["fmt"]
            and not form.use_colors
            and not (handler.filters or logger.filters)
            and logger.isEnabledFor(logging.INFO)
        ):
            lines = cls(handler.stream, logger.info)
            logger.info = lines.add  # type: ignore[assignment,method-assign]
            atexit.register(lines.write)

    def add(self, form: str, *arguments: object) -> None:
        """Take what uvicorn hands to ``info``; what is no request's line goes the ordinary way."""
        if form != _FORM:
            self._otherwise(form, *arguments)
            return
        client, method, path, version, status = arguments
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.write)
        phrase = _PHRASES.get(cast(int, status)) or f"{status} "
        self._lines.append(f'INFO:     {client} - "{method} {path} HTTP/{version}" {phrase}\n')

    def write(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write("".join(lines))
            self._stream.flush()
