"""What routes that take bodies have in common.

A body is written to a file in the home as it comes and read when it is whole: memory stays bounded, a slow sender holds
no transaction, and what broke off has changed nothing.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from driftline.monitor.web import answers

_IN_MEMORY_BYTES = 1 << 20


class TooLarge(Exception):
    """A body has more bytes than it may."""


@asynccontextmanager
async def whole_body(request: Request, most_bytes: int, home: Path) -> AsyncIterator[IO[bytes]]:
    """Take the body in; yield the file, at its start.

    Raises:
        TooLarge: there are more bytes; what is left is not read.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(home)) as body:
        taken = 0
        async for chunk in request.stream():
            taken += len(chunk)
            if taken > most_bytes:
                raise TooLarge
            await run_in_threadpool(body.write, chunk)
        body.seek(0)
        yield body


def refusal(status: int, message: str) -> Response:
    """Return an error as those routes tell it."""
    return answers.document({"status": status, "error": message}, status)
