"""deploy/lambda: each answer's invocation is in the store when the handler returns, as the process is frozen then.

The handler runs in a process of its own with events of API Gateway (payload 2.0), is stopped after each answer and
killed at the end. The store is a PostgreSQL behind a proxy that can fall silent.
"""

import base64
import json
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import servers
from faulty_network import proxy
from scoring_servers import environment
from sqlalchemy import Engine, select, text

from driftline.scorer.settings import ScorerSettings
from driftline.store import migrate, schema
from driftline.store.engine import open_engine
from driftline.store.settings import load_base, load_section
from driftline.store.spool.settings import SpoolSettings
from driftline.store.verify import verify

ROOT = Path(__file__).parents[2]
GOOD = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[0.5, 1.5], [2, 0.1]]}}'


def test_the_image_gives_the_function_what_it_has_there_and_settings_that_exist() -> None:
    text = (ROOT / "deploy" / "lambda" / "Dockerfile").read_text().replace("\\\n", " ")
    variables = dict(re.findall(r"(DRIFTLINE_\w+)=(\S+)", text.partition("\nENV ")[2].partition("\n")[0]))
    base, spool = load_base(environ=variables), load_section(SpoolSettings, "spool", environ=variables)
    scorer = load_section(ScorerSettings, "scorer", environ=variables)
    assert {base.home.parts[:2], spool.memory_folder.parts[:2]} == {("/", "tmp")}
    memory = 2 * (spool.ring_bytes + spool.overflow_bytes)
    assert memory + spool.max_bytes + spool.min_free_bytes < 512 << 20, "what a function's /tmp has by default"
    assert scorer.start_without_store
    assert 'CMD ["handler.handler"]' in text


class Function:
    """The handler's process; frozen but while it answers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self._read() == "ready"

    def call(
        self, body: bytes, content_type: str = "application/json", path: str = "/invocations", method: str = "POST"
    ) -> dict[str, Any]:
        event = {
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
            "headers": {"content-type": content_type, "x-request-id": "mine", "host": "x.example.org"},
            "requestContext": {
                "http": {"method": method, "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"},
                "stage": "$default",
            },
            "body": base64.b64encode(body).decode(), "isBase64Encoded": True,
        }  # fmt: skip
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(json.dumps(event) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        self._process.send_signal(signal.SIGSTOP)
        return dict(answer)

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the function ended: see its log"
        return json.loads(line)


@contextmanager
def function(models: Path, folder: Path, store: str, **variables: str) -> Iterator[Function]:
    """Run the handler over the model ``linear``; killed at the end, as a function is."""
    (folder / "driftline.toml").write_text(f'store = "{store}"\n')
    settings = {
        "DRIFTLINE_CONFIG": str(folder / "driftline.toml"), "DRIFTLINE_HOME": str(folder / "home"),
        "DRIFTLINE_SPOOL_RING_FOLDER": str(folder), "DRIFTLINE_SPOOL_RING_BYTES": str(4 << 20),
        "DRIFTLINE_SPOOL_MIN_FREE_BYTES": "0", "MODEL_URI": "models:/linear@champion", **variables,
    }  # fmt: skip
    with open(folder / "function.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("function_host.py"), ROOT / "deploy" / "lambda" / "handler.py"],
            env=environment(models, **settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        yield Function(process)
    finally:
        process.kill()
        process.communicate()


def statuses(engine: Engine) -> list[int]:
    """Return the statuses of what is stored, in the order in which it came."""
    table = schema.invocation
    with engine.connect() as connection:
        return list(connection.scalars(select(table.c.status).order_by(table.c.received_at)))


@pytest.mark.postgresql
def test_each_answer_is_in_the_store_when_the_function_returns_it(
    models: Path, postgresql_server: servers.PostgreSQL, postgresql_url: str, tmp_path: Path
) -> None:
    engine = open_engine(postgresql_url)
    migrate.upgrade(engine)
    with proxy(engine.url.port or 5432) as way:
        store = engine.url.set(host="127.0.0.1", port=way.port).render_as_string(hide_password=False)
        with function(models, tmp_path, store, STORE_WAIT_SECONDS="2") as one:
            answer = one.call(GOOD)
            assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"predictions": [False, True]})
            assert statuses(engine) == [200]
            with engine.connect() as connection:
                assert connection.scalar(text("select count(*) from inference_linear")) == 2
                (id_,) = connection.scalars(select(schema.invocation.c.id))
            assert answer["headers"]["x-driftline-invocation-id"] == str(uuid.UUID(bytes=id_))

            assert one.call(b"a,b\n1,2\n", "text/csv")["statusCode"] == 200
            assert one.call(b"{", "application/json")["statusCode"] == 400
            assert one.call(b"", "application/json", "/nowhere")["statusCode"] == 404
            assert one.call(b"", "application/json", "/ping", "GET")["statusCode"] == 200
            assert statuses(engine) == [200, 200, 400]

            way.silent.set()
            late = one.call(GOOD)
            assert late["statusCode"] == 200
            assert 1.9 < late["seconds"] < 9, "it waited as long as it may, and no longer"
            assert statuses(engine) == [200, 200, 400]
            way.silent.clear()
            way.cut_all()
            tries = [one.call(b"{")["statusCode"] for _ in range(2)]  # the first may meet the connection that was cut
            assert statuses(engine) == [200, 200, 400, 200, *tries]
    assert all(check.agrees for check in verify(engine))
    engine.dispose()
