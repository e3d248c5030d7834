"""Labels of people whose columns are redacted: found by the plain key, kept without it, and forgotten by it."""

import json
from pathlib import Path

import pytest
import store_traffic as traffic
from click.testing import CliRunner
from sqlalchemy import select

from driftline.cli.main import root
from driftline.store import migrate, schema
from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.redaction import Redaction
from driftline.store.verify import verify

KEY = "5a" * 32
ANNA, BERT, NOBODY = "anna-1938-labels", "bert-1940-labels", "nobody-1950-labels"


def test_labels_by_a_hashed_key_find_their_row_keep_no_plain_value_and_are_forgotten_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(KEY)
    monkeypatch.setenv("DRIFTLINE_REDACTION_COLUMNS", "plan=hash")
    monkeypatch.setenv("DRIFTLINE_REDACTION_KEY_FILE", str(tmp_path / "key"))
    redaction = Redaction({"plan": "hash"}, KEY.encode())
    data = [[40.0, 3, redaction.cell("plan", person)] for person in (ANNA, BERT)]
    body = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": data}}
    engine = open_engine(url := f"sqlite:///{tmp_path / 'driftline.sqlite'}")
    migrate.upgrade(engine)
    traffic.fill(tmp_path / "spool", [traffic.invocation(body, {"predictions": [1, 0]})])
    Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    labels = [{"plan": ANNA, "label": 1}, {"plan": BERT, "label": 0}, {"plan": NOBODY, "label": 1},
              {"plan": ANNA, "label": {"plan": ANNA}}, ANNA]  # fmt: skip
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
    at = ["--home", str(tmp_path), "--store", url]
    load = ["labels", "load", str(tmp_path / "labels.jsonl"), "--model", "clf", "--key-column", "plan", *at]
    told = CliRunner().invoke(root, load)
    assert told.exit_code == 0, told.output
    with engine.connect() as connection:
        in_force = select(schema.label.c.row_index, schema.label.c.value).order_by(schema.label.c.row_index)
        assert [tuple(row) for row in connection.execute(in_force)] == [(0, "1"), (1, "0")]
        assert list(connection.scalars(select(schema.pending_label.c.key))) == [redaction.cell("plan", NOBODY)]
        assert len(connection.scalars(select(schema.label_reject.c.content)).all()) == 2
    held = b"".join(path.read_bytes() for path in tmp_path.glob("driftline.sqlite*"))
    assert [person for person in (ANNA, BERT, NOBODY) if person in told.output or person.encode() in held] == []

    forget = ["store", "forget", "--model", "clf", "--key-column", "plan", "--key", "-", "--yes", *at]
    for person in (ANNA, NOBODY):
        told = CliRunner().invoke(root, forget, input=f"{person}\n")
        assert told.exit_code == 0, told.output
    with engine.connect() as connection:
        assert list(connection.scalars(select(schema.label.c.row_index))) == [1]
        assert connection.scalars(select(schema.pending_label.c.key)).all() == []
        rejects = connection.scalars(select(schema.label_reject.c.content)).all()
        assert [content for content in rejects if str(redaction.cell("plan", ANNA)) in content] == []
    assert all(check.agrees for check in verify(engine))
    engine.dispose()
