"""SageMaker's capture into SQL, on both engines."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import store_traffic as traffic
from sqlalchemy import Engine, func, select, text

from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError
from driftline.store.imports.bodies import signature_names
from driftline.store.imports.call import UnreadableEvent
from driftline.store.imports.loading import ImportLoading, ImportReport, Unreadable
from driftline.store.imports.sagemaker import capture_files, capture_lines, captured_call
from driftline.store.loader.settings import LoaderSettings
from driftline.store.records import ModelIdentity
from driftline.store.verify import verify

_INPUTS = [{"name": name, "type": "double", "required": True} for name in "ab"]
_OUTPUT = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]
_IDENTITY = ModelIdentity("churn", "3", "models:/churn/3", signature=traffic.signature(_INPUTS, _OUTPUT))
_NAMES = signature_names(_IDENTITY.signature)


def _line(number: int, data: str = "1.5,2.5\n", encoding: str = "CSV", answer: str = "0.25", **meta: Any) -> bytes:
    def side(content: str, how: str) -> dict[str, str]:
        return {"observedContentType": "text/csv", "data": content, "encoding": how}

    return json.dumps({
        "captureData": {"endpointInput": side(data, encoding), "endpointOutput": side(answer, "CSV")},
        "eventMetadata": {"eventId": f"event-{number}", "inferenceTime": "2026-11-20T10:00:05Z", **meta},
        "eventVersion": "0",
    }).encode() + b"\n"  # fmt: skip


def _load(engine: Engine, lines: list[bytes]) -> ImportReport:
    calls, unreadable = [], []
    for line in lines:
        try:
            calls.append(captured_call(line, _NAMES))
        except UnreadableEvent as error:
            unreadable.append(Unreadable(line, str(error)))
    return ImportLoading(engine, _IDENTITY, LoaderSettings()).load(calls, unreadable)


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_engine(store_url)
    yield engine
    engine.dispose()


def test_a_capture_becomes_rows_once_however_often_it_is_loaded(engine: Engine, tmp_path: Path) -> None:
    packed = base64.b64encode(b"3.5,4.5\n").decode()
    lines = [_line(1, inferenceId="order-66"), _line(2, packed, "BASE64"), b"{}\n", _line(3, "1,2,3\n")]
    first = _load(engine, [*lines, lines[0]])
    assert (first.stored, first.rows, first.repeated, first.unreadable) == (2, 2, 1, 2)
    again = _load(engine, [*lines, _line(4)])
    assert (again.stored, again.repeated, again.unreadable) == (1, 4, 0)
    with engine.connect() as connection:
        rows = connection.execute(text("select * from inference_churn order by a")).mappings().all()
        ids = connection.scalars(select(schema.invocation.c.client_request_id)).all()
        letters = connection.scalars(select(schema.dead_letter.c.error)).all()
    assert [(row["a"], row["b"]) for row in rows] == [(1.5, 2.5), (1.5, 2.5), (3.5, 4.5)]
    assert [id_ for id_ in ids if id_] == ["order-66"]
    assert len(letters) == 2
    account = accounts(engine, tmp_path)
    assert (account.answered, account.stored, account.quarantined, account.balanced) == (5, 5, 2, True)
    assert all(check.agrees for check in verify(engine))


def test_a_call_whose_answer_was_not_captured_is_kept_without_rows(engine: Engine) -> None:
    line = json.loads(_line(1))
    del line["captureData"]["endpointOutput"]
    assert _load(engine, [json.dumps(line).encode()]).rows == 0
    without = select(func.count()).where(schema.invocation.c.parse_error.like("without a body%"))
    with engine.connect() as connection:
        assert connection.scalar(without) == 1


def test_files_are_read_in_order_compressed_or_not(tmp_path: Path) -> None:
    (tmp_path / "10").mkdir()
    (tmp_path / "10" / "b.jsonl").write_bytes(_line(2) + b"\n" + _line(3))
    (tmp_path / "09.jsonl.gz").write_bytes(gzip.compress(_line(1)))
    found = []
    for file in capture_files(tmp_path):
        with capture_lines(file) as (lines, _):
            found += [captured_call(line, _NAMES).event_id for line in lines]
    assert found == ["event-1", "event-2", "event-3"]
    with pytest.raises(ConfigurationError, match="holds no file"):
        capture_files(tmp_path / "nothing")


def test_a_line_that_no_id_can_be_made_of_or_whose_sides_are_none_is_unreadable() -> None:
    lines = [_line(1, inferenceTime="1960-01-01T00:00:00Z"), _line(1, inferenceTime="0001-01-01T00:00:00+14:00"),
             _line(1, "\u00e9", "BASE64")]  # fmt: skip
    for line in lines:
        with pytest.raises(UnreadableEvent):
            captured_call(line, _NAMES)


def test_a_compressed_file_that_broke_off_says_what_to_do(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(_line(i) for i in range(2000)))
    for name, content in (
        ("cut", whole[: len(whole) // 2]),
        ("none", b"no gzip"),
        ("bad", whole[:40] + b"xxxx" + whole[44:]),
    ):
        file = tmp_path / f"{name}.jsonl.gz"
        file.write_bytes(content)
        with capture_lines(file) as (lines, _), pytest.raises(ConfigurationError, match="copy it again"):
            list(lines)
    with pytest.raises(ConfigurationError, match="cannot be read"), capture_lines(tmp_path):
        pass
