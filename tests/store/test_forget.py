"""What is forgotten is in no byte of the store, and what stays balances."""

import json
from pathlib import Path

import pytest
import store_traffic as traffic
from click.testing import CliRunner
from sqlalchemy import Engine, func, insert, select, text, update

from driftline.cli.main import root
from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.backfill import put_in_force
from driftline.store.engine import open_engine, writing
from driftline.store.errors import ConfigurationError, DriftlineError
from driftline.store.forget import Forgotten, KeySubject, RequestSubject, forget, require_loaded
from driftline.store.labels.loading import load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import Invocation, invocation_id_text
from driftline.store.verify import verify

ANNA, BERT = "anna-1938-forget", "bert-1940-stays"
COLUMNS = ["age", "visits", "plan"]


def request(*people: str, client: bytes = b"") -> Invocation:
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[40.0, 3, person] for person in people]}}
    return traffic.invocation(body, {"predictions": [1] * len(people)})._replace(client_request_id=client)


def load(engine: Engine, home: Path, *invocations: Invocation) -> None:
    traffic.fill(home / "spool", list(invocations))
    Loader(engine, home / "spool", LoaderSettings(raw_bodies="all")).load_once()


@pytest.fixture
def engine(store_url: str) -> Engine:
    engine = open_engine(store_url)
    with writing(engine) as connection:
        version = ensure_model_version(connection, traffic.CLF)
    put_in_force(engine, version.id, traffic.clf_reference())
    return engine


def people(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(connection.scalars(text("SELECT plan FROM inference_clf")))


def balances(engine: Engine, home: Path) -> bool:
    return all(check.agrees for check in verify(engine)) and accounts(engine, home / "spool").balanced


def test_a_person_goes_from_rows_bodies_labels_rejects_and_dead_letters_and_the_rest_stays(
    engine: Engine, tmp_path: Path
) -> None:
    mixed, own, other = request(ANNA, BERT), request(ANNA), request(BERT)
    broken = traffic.invocation({"dataframe_split": {"columns": COLUMNS, "data": [[ANNA]]}}, {"predictions": [1, 2]})
    refused = traffic.invocation({"dataframe_split": {"data": [[ANNA]]}}, {"error_code": "BAD_REQUEST"}, status=400)
    load(engine, tmp_path, mixed, own, other, broken, refused)
    with writing(engine) as connection:
        spool_id = connection.scalar(select(schema.spool.c.id))
        connection.execute(insert(schema.dead_letter).values(
            spool_id=spool_id, seq=6, reason="refused", error="by a test", payload=own.pack(), at=traffic.START_US
        ))  # fmt: skip
        stored = schema.spool_position.c.stored
        connection.execute(update(schema.spool_position).values(stored=stored + 1, quarantined=1, seq=6))
    ids = [invocation_id_text(i.id) for i in (mixed, own, other)]
    labels = [{"request_id": ids[0], "row": 0, "label": 1}, {"request_id": ids[0], "row": 1, "label": 0},
              {"request_id": ids[2], "label": 1}, {"key": ANNA, "label": {}}]  # fmt: skip
    load_labels(engine, LabelSettings(), labels, Fields())
    load_labels(engine, LabelSettings(), [{"plan": ANNA, "label": 1}], Fields(key="plan"), "clf")
    with writing(engine) as connection:
        connection.execute(insert(schema.pending_label).values(
            model_name="clf", key_column="plan", key=ANNA, row_index=-1, value="1", event_at=1, received_at=1,
            next_try_at=1,
        ))  # fmt: skip
        before = connection.scalar(select(func.sum(schema.profile.c.row_count)))
    subject = KeySubject("clf", "plan", ANNA)
    planned = forget(engine, subject, dry_run=True)
    assert people(engine) == [ANNA, ANNA, BERT, BERT]
    assert forget(engine, subject) == planned
    assert (planned.rows, planned.requests, planned.labels, planned.pending_labels) == (2, 4, 1, 1)
    assert planned.label_rejects >= 1
    assert planned.dead_letters == 1
    assert people(engine) == [BERT, BERT]
    assert forget(engine, subject) == Forgotten()
    with engine.connect() as connection:
        t = schema.invocation.c
        kept = {
            i: (rows, body is None) for i, rows, body in connection.execute(select(t.id, t.row_count, t.request_body))
        }
        assert kept[mixed.id] == (1, True)
        assert kept[own.id] == kept[broken.id] == kept[refused.id] == (0, True)
        assert kept[other.id] == (1, False)
        assert connection.scalar(select(func.sum(schema.profile.c.row_count))) == before
        assert connection.scalar(select(func.count()).select_from(schema.label)) == 2
    assert balances(engine, tmp_path)
    engine.dispose()


def test_no_byte_of_a_sqlite_file_holds_what_was_forgotten(sqlite_url: str, tmp_path: Path) -> None:
    # Without a reference: a profile would count the values of a text column by their words.
    engine = open_engine(sqlite_url)
    load(engine, tmp_path, *[request(BERT, ANNA, "x" * 6_000) for _ in range(50)])
    load_labels(engine, LabelSettings(), [{"plan": ANNA, "label": {}}] * 3, Fields(key="plan"), "clf")
    files = [*tmp_path.glob("driftline.sqlite*")]
    assert any(ANNA.encode() in path.read_bytes() for path in files)
    assert forget(engine, KeySubject("clf", "plan", ANNA)).rows == 50
    engine.dispose()
    assert [path.name for path in tmp_path.glob("driftline.sqlite*") if ANNA.encode() in path.read_bytes()] == []


def test_a_request_goes_by_our_id_and_by_the_clients(engine: Engine, tmp_path: Path) -> None:
    ours, theirs, other = request(ANNA, BERT), request(ANNA, client=b"order-7"), request(BERT, client=b"order-77")
    load(engine, tmp_path, ours, theirs, other)
    assert forget(engine, RequestSubject(invocation_id_text(ours.id))).rows == 2
    assert forget(engine, RequestSubject("order-7")).rows == 1
    assert people(engine) == [BERT]
    with engine.connect() as connection:
        assert set(connection.scalars(select(schema.invocation.c.client_request_id))) == {None, "order-77"}
    assert balances(engine, tmp_path)
    engine.dispose()


def test_what_is_not_loaded_yet_refuses_with_the_next_step(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftline.store.forget._PATIENCE_SECONDS", 0.1)
    traffic.fill(tmp_path / "spool", [request(ANNA)])
    with pytest.raises(DriftlineError, match="driftline store load"):
        require_loaded(engine, tmp_path / "spool")
    Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    require_loaded(engine, tmp_path / "spool")
    with pytest.raises(ConfigurationError, match="no model"):
        forget(engine, KeySubject("nobody", "plan", ANNA))
    with pytest.raises(ConfigurationError, match="no version of clf"):
        forget(engine, KeySubject("clf", "age", "40"))
    assert forget(engine, KeySubject("clf", "visits", "no number")).rows == 0
    engine.dispose()


def test_the_command_asks_tells_what_it_cannot_reach_and_reads_a_key_from_standard_input(
    sqlite_url: str, tmp_path: Path
) -> None:
    engine = open_engine(sqlite_url)
    load(engine, tmp_path, request(ANNA), request(BERT))
    base = ["store", "forget", "--home", str(tmp_path), "--store", sqlite_url]
    by_key = [*base, "--model", "clf", "--key-column", "plan", "--key", "-"]
    asked = CliRunner().invoke(root, [*by_key, "--dry-run"], input=f"{ANNA}\n")
    assert "1  rows" in asked.output
    assert "without --dry-run" in asked.output
    assert CliRunner().invoke(root, by_key, input=f"{ANNA}\nn\n").exit_code == 1
    assert people(engine) == [ANNA, BERT]
    told = CliRunner().invoke(root, [*by_key, "--yes"], input=f"{ANNA}\n")
    assert told.exit_code == 0, told.output
    assert "MLflow" in told.output
    assert people(engine) == [BERT]
    assert CliRunner().invoke(root, [*base, "--model", "clf"]).exit_code == 2
    assert json.dumps(ANNA)[1:-1] not in told.output
    engine.dispose()
