"""The access lines are uvicorn's, and whoever wants others gets those."""

import asyncio
import copy
import io
import logging
import logging.config
import re
from collections.abc import Callable, Iterator

import pytest
import servers
from scoring_servers import DriftlineServer
from uvicorn.config import LOGGING_CONFIG

from driftline.scorer.access_log import AccessLines

_FORM = '%s - "%s %s HTTP/%s" %d'
_REQUESTS = [
    ("127.0.0.1:39012", "POST", "/invocations", "1.1", 200),
    ("[::1]:5", "GET", "/ping?x=%20", "1.0", 404),
    ("", "GET", "/", "1.1", 503),
    ("10.0.0.1:1", "PUT", "/\u00fc", "1.1", 299),
]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("uvicorn.access")
    before = dict(logger.__dict__)
    yield logger
    logger.__dict__.clear()
    logger.__dict__.update(before)


def _configure(logger: logging.Logger, level: str = "INFO", **handler: object) -> io.StringIO:
    """Set up logging as uvicorn does, with a stream of ours."""
    stream = io.StringIO()
    config = copy.deepcopy(LOGGING_CONFIG)
    config["formatters"]["access"]["use_colors"] = False
    config["handlers"]["access"] |= {"stream": stream, **handler}
    config["loggers"]["uvicorn.access"]["level"] = level
    logging.config.dictConfig(config)
    return stream


async def _log_all(logger: logging.Logger) -> None:
    for request in _REQUESTS:
        logger.info(_FORM, *request)
    await asyncio.sleep(0.2)


def test_the_lines_are_uvicorns(logger: logging.Logger) -> None:
    expected = _configure(logger)
    asyncio.run(_log_all(logger))
    found = _configure(logger)
    AccessLines.install()
    assert "info" in logger.__dict__
    asyncio.run(_log_all(logger))
    assert found.getvalue() == expected.getvalue()
    assert found.getvalue().count("\n") == len(_REQUESTS)


def test_many_lines_are_one_write(logger: logging.Logger) -> None:
    writes: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    _configure(logger, stream=Stream())
    AccessLines.install()
    asyncio.run(_log_all(logger))
    assert len(writes) == 1


def test_what_is_no_requests_line_goes_the_ordinary_way(logger: logging.Logger) -> None:
    stream = _configure(logger, formatter="default")
    AccessLines(io.StringIO(), logger.info).add("something %s", "else")
    assert stream.getvalue() == "INFO:     something else\n"


def _colours(logger: logging.Logger) -> None:
    logger.handlers[0].formatter.use_colors = True  # type: ignore[union-attr]


def _no_lines(logger: logging.Logger) -> None:
    logger.handlers = []


def _format(logger: logging.Logger) -> None:
    logger.handlers[0].setFormatter(logging.Formatter("%(message)s"))


def _level(logger: logging.Logger) -> None:
    logger.setLevel(logging.WARNING)


@pytest.mark.parametrize("change", [_colours, _no_lines, _format, _level])
def test_other_settings_of_the_log_stay_as_they_are(
    logger: logging.Logger, change: Callable[[logging.Logger], None]
) -> None:
    _configure(logger)
    change(logger)
    AccessLines.install()
    assert "info" not in logger.__dict__


def test_a_server_writes_a_line_for_each_request_and_the_last_before_it_ends(
    start: Callable[..., DriftlineServer],
) -> None:
    server = start("models:/linear/1", "lines")
    for _ in range(5):
        server.ask("GET", "/version")
    servers.wait_until(lambda: "/version" in server.log.read_text(), 60, 0.05, "the lines")
    server.ask("GET", "/nowhere")
    server.stop()
    lines = [line for line in server.log.read_text().splitlines() if " - " in line]
    versions = [
        line for line in lines if re.fullmatch(r'INFO:     127\.0\.0\.1:\d+ - "GET /version HTTP/1\.1" 200 OK', line)
    ]
    assert len(versions) == 5
    assert lines[-1].endswith('"GET /nowhere HTTP/1.1" 404 Not Found')
