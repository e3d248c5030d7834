"""Spools into SQL: rows, profiles, accounts, poison."""

import threading
import time
from pathlib import Path

import orjson
import pytest
import servers
import store_traffic as traffic
from sqlalchemy import Engine, select, text

from driftline.store import migrate, partitions, schema
from driftline.store.accounts import accounts
from driftline.store.backfill import backfill
from driftline.store.engine import open_engine, writing
from driftline.store.loader.loader import Loader, LoaderSettings, LoadReport
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import ModelIdentity, now_us
from driftline.store.references import save_reference
from driftline.store.spool.reader import Batch, SpoolReader
from driftline.store.spool.spool import Spool
from driftline.store.verify import verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def load(engine: Engine, folder: Path, **settings: object) -> LoadReport:
    return Loader(engine, folder, LoaderSettings(**settings)).load_once()  # type: ignore[arg-type]


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one())


def prediction_table(identity: ModelIdentity = traffic.CLF) -> str:
    return f"prediction_{identity.name}_{identity.fingerprint}"


def test_every_invocation_is_stored_once_with_its_rows(engine: Engine, folder: Path) -> None:
    sent = list(traffic.clf_traffic(300))
    traffic.fill(folder, sent)
    report = load(engine, folder, batch_records=70)
    expected_rows = sum(len(orjson.loads(i.response)["predictions"]) for i in sent if i.status == 200)
    assert (report.records, report.rows) == (300, expected_rows)
    with engine.connect() as connection:
        stored = connection.execute(select(schema.invocation).order_by(schema.invocation.c.received_at)).all()
    assert [row.id for row in stored] == [i.id for i in sent]
    assert [(row.status, row.arm, row.latency_us) for row in stored] == [(i.status, i.arm, 1500) for i in sent]
    assert count(engine, prediction_table()) == expected_rows
    assert list(folder.iterdir()) == []
    assert load(engine, folder) == LoadReport()


def test_missing_is_null_and_nul_is_kept_as_its_picture(engine: Engine, folder: Path) -> None:
    body = {"dataframe_split": {"columns": ["plan", "age", "visits"], "data": [["a\u0000b", None, 3], ["é", 2.5, -1]]}}
    traffic.fill(folder, [traffic.invocation(body, {"predictions": [1, 0]})])
    load(engine, folder)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT age, visits, plan, prediction FROM inference_clf ORDER BY row_index"))
        assert rows.all() == [(None, 3, "a␀b", 1), (2.5, -1, "é", 0)]


def test_an_error_answer_has_its_code_and_its_body_and_no_rows(engine: Engine, folder: Path) -> None:
    answer = {"error_code": "BAD_REQUEST", "message": "no"}
    traffic.fill(folder, [traffic.invocation(b"{", answer, status=400), traffic.invocation(b"x", b"", status=504)])
    load(engine, folder)
    with engine.connect() as connection:
        t = schema.invocation.c
        rows = connection.execute(select(t.status, t.row_count, t.error_code, t.request_body).order_by(t.status)).all()
    assert [row[:3] for row in rows] == [(400, 0, "BAD_REQUEST"), (504, 0, None)]
    assert rows[0].request_body is not None
    assert count(engine, prediction_table()) == 0


def test_an_answered_body_that_gives_no_rows_is_stored_with_its_parse_error(engine: Engine, folder: Path) -> None:
    split = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [[1.0, 2, "a"]]}}
    traffic.fill(folder, [
        traffic.invocation(split, {"predictions": [1, 2, 3]}), traffic.invocation(split, {"predictions": [2**70]}),
        traffic.invocation(b"\xff\xfe secret", {"predictions": [1]}), traffic.invocation(split, {"predictions": [1]}),
    ])  # fmt: skip
    report = load(engine, folder)
    assert (report.records, report.rows, report.quarantined) == (4, 1, 0)
    with engine.connect() as connection:
        errors = set(connection.scalars(select(schema.invocation.c.parse_error)))
    assert len(errors) == 4
    assert None in errors
    assert not any("secret" in error for error in errors if error)


def test_requests_without_columns_or_rows_are_stored_and_none_is_set_aside(engine: Engine, folder: Path) -> None:
    bare = ModelIdentity(name="bare", version="1", uri="models:/bare/1")
    empty = [{"dataframe_records": [{}]}, {"dataframe_split": {"data": [[]]}}, {"instances": [{}]}]
    none = [{"dataframe_records": []}, {"dataframe_split": {"columns": [], "data": []}}, {"inputs": []}]
    sent = [traffic.invocation(body, {"predictions": [1]}) for body in empty]
    sent += [traffic.invocation(body, {"predictions": []}) for body in none]
    traffic.fill(folder, sent, bare)
    report = load(engine, folder)
    assert (report.records, report.rows, report.quarantined) == (6, 3, 0)
    with engine.connect() as connection:
        assert set(connection.scalars(select(schema.invocation.c.parse_error))) == {None}
        rows = connection.execute(text(f"SELECT in_row, out_prediction FROM {prediction_table(bare)}")).all()
    assert [tuple(map(str, row)) for row in rows] == [("{}", "1")] * 3
    assert all(check.agrees for check in verify(engine))


@pytest.mark.parametrize(("policy", "kept"), [("none", 0), ("errors", 1), ("all", 40)])
def test_raw_bodies_are_kept_by_policy(engine: Engine, folder: Path, policy: str, kept: int) -> None:
    fine = [i for i in traffic.clf_traffic(100) if i.status == 200][:39]
    traffic.fill(folder, [*fine, traffic.invocation(b"{", {}, status=400)])
    load(engine, folder, raw_bodies=policy)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(request_body) FROM invocation")) == kept


def refuse(engine: Engine, column: str, value: int) -> None:
    """Make the database itself refuse invocations with this value."""
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE invocation ADD CHECK ({column} <> {value})"))
        else:
            connection.execute(text(
                f"CREATE TRIGGER refuse BEFORE INSERT ON invocation WHEN NEW.{column} = {value} "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"))  # fmt: skip


def test_a_poison_record_goes_to_dead_letter_and_blocks_nothing(
    engine: Engine, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refuse(engine, "status", 418)
    sent = list(traffic.clf_traffic(200))
    poison = [traffic.invocation(b"secret", b"", status=418) for _ in range(3)]
    sent[5:5], sent[60:60], sent[150:150] = poison[:1], poison[1:2], poison[2:]
    uuid = traffic.fill(folder, sent)
    report = load(engine, folder, batch_records=100)
    assert (report.records, report.quarantined) == (203, 3)
    with engine.connect() as connection:
        letters = connection.execute(select(schema.dead_letter).order_by(schema.dead_letter.c.seq)).all()
    assert [bytes(letter.payload) for letter in letters] == [i.pack() for i in poison]
    assert [letter.seq for letter in letters] == [6, 61, 151]
    assert count(engine, "invocation") == 200
    assert uuid in caplog.text
    assert "secret" not in caplog.text + "".join(letter.error for letter in letters)
    found = accounts(engine, folder)
    assert (found.answered, found.stored, found.quarantined, found.balanced) == (203, 203, 3, True)


def test_a_payload_that_is_no_invocation_goes_to_dead_letter(engine: Engine, folder: Path) -> None:
    folder.mkdir()
    spool = Spool.open(folder, traffic.SETTINGS)
    model = spool.declare_model(traffic.CLF)
    good = next(traffic.clf_traffic(1))
    for payload in (b"", b"short", good.pack()[:-1], good.pack()):
        spool.append(model, payload, traffic.START_US)
    spool.close()
    report = load(engine, folder)
    assert (report.records, report.quarantined) == (4, 3)
    assert count(engine, "invocation") == 1


def test_two_loaders_on_one_spool_store_everything_once(engine: Engine, folder: Path) -> None:
    traffic.fill(folder, traffic.clf_traffic(2000))
    reports: list[LoadReport] = []
    loaders = [Loader(engine, folder, LoaderSettings(batch_records=50)) for _ in range(2)]
    threads = [threading.Thread(target=lambda one=one: reports.append(one.load_once())) for one in loaders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.records for report in reports) == 2000
    assert count(engine, "invocation") == 2000


def test_a_spool_folder_that_is_copied_and_loaded_again_stores_nothing_twice(engine: Engine, folder: Path) -> None:
    import shutil

    traffic.fill(folder, traffic.clf_traffic(100))
    shutil.copytree(folder, folder.with_name("copy"))
    load(engine, folder)
    assert load(engine, folder.with_name("copy")).records == 0
    assert count(engine, "invocation") == 100


def test_a_spool_that_ends_while_it_is_looked_at_is_not_removed_unread(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    spool = Spool.open(folder, traffic.SETTINGS)
    model = spool.declare_model(traffic.CLF)
    last = next(traffic.clf_traffic(1))
    read = SpoolReader.read

    def read_just_before_the_end(reader: SpoolReader, max_records: int, max_bytes: int) -> Batch:
        batch = read(reader, max_records, max_bytes)
        if not batch.records:
            spool.append(model, last.pack(), traffic.START_US)
            spool.close()
        return batch

    monkeypatch.setattr(SpoolReader, "read", read_just_before_the_end)
    loader = Loader(engine, folder, LoaderSettings())
    assert loader.load_once().records == 0
    monkeypatch.undo()
    assert loader.load_once().records == 1
    assert count(engine, "invocation") == 1


def save_clf_reference(engine: Engine) -> int:
    with writing(engine) as connection:
        version = ensure_model_version(connection, traffic.CLF)
        save_reference(connection, version.id, traffic.clf_reference())
    return version.id


def test_profiles_equal_a_recomputation_from_rows_exactly(engine: Engine, folder: Path) -> None:
    save_clf_reference(engine)
    for seed in range(3):
        traffic.fill(folder, traffic.clf_traffic(200, seed))
        load(engine, folder, batch_records=33)
    checks = verify(engine)
    assert [check.agrees for check in checks] == [True] * 3, checks
    assert count(engine, "profile") > 5
    with writing(engine) as connection:
        connection.execute(text(f'UPDATE "{prediction_table()}" SET in_age = 41.5 WHERE in_age > 60'))
    assert [check.agrees for check in verify(engine)] == [True, True, False]


def test_a_reference_that_comes_late_is_backfilled_exactly(engine: Engine, folder: Path) -> None:
    traffic.fill(folder, traffic.clf_traffic(200))
    report = load(engine, folder)
    assert count(engine, "profile") == 0
    version_id = save_clf_reference(engine)
    assert [check.agrees for check in verify(engine)] == [True, True, False]
    assert backfill(engine, version_id) == report.rows
    assert [check.agrees for check in verify(engine)] == [True] * 3


def test_a_backfill_in_the_middle_of_loading_counts_every_row_once(engine: Engine, folder: Path) -> None:
    version_id = save_clf_reference(engine)
    traffic.fill(folder, traffic.clf_traffic(3000))
    loading = threading.Thread(target=load, args=(engine, folder), kwargs={"batch_records": 100})
    loading.start()
    for _ in range(5):
        backfill(engine, version_id)
    loading.join()
    assert [check.agrees for check in verify(engine)] == [True] * 3
    assert count(engine, "invocation") == 3000


def test_the_accounts_balance_at_every_moment_while_loading(engine: Engine, folder: Path) -> None:
    folder.mkdir()
    settings = traffic.SpoolSettings(
        ring_bytes=64 << 10, overflow_bytes=0, segment_bytes=1 << 16, flush_interval_seconds=0.05, min_free_bytes=0
    )
    spool = Spool.open(folder, settings)
    model = spool.declare_model(traffic.CLF)
    stop = threading.Event()
    runner = threading.Thread(
        target=Loader(engine, folder, LoaderSettings(batch_records=97, poll_interval_seconds=0.01)).run, args=(stop,)
    )
    runner.start()
    sent = list(traffic.clf_traffic(500 * 15))
    answered = 0
    seen: set[int] = set()
    for start in range(0, len(sent), 500):
        for one in sent[start : start + 500]:
            spool.append(model, one.pack(), now_us())
        answered += 500
        time.sleep(0.05)
        found = accounts(engine, folder)
        assert found.balanced, found
        assert found.answered == answered
        seen.add(found.stored)
    spool.close()
    stop.set()
    runner.join()
    found = accounts(engine, folder)
    assert (found.answered, found.spooled, found.balanced) == (answered, 0, True)
    assert found.dropped  # the ring was small on purpose
    assert len(seen) > 3


def test_the_database_goes_away_in_the_middle_and_comes_back(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with servers.postgresql() as server:
        url = server.create_database("driftline")
        engine, watcher = open_engine(url), open_engine(url)
        migrate.upgrade(engine)
        traffic.fill(folder, traffic.clf_traffic(15_000))
        stop = threading.Event()
        loader = Loader(engine, folder, LoaderSettings(batch_records=40))
        runner = threading.Thread(target=loader.run, args=(stop,))
        runner.start()
        for _ in range(2):
            before = count(watcher, "invocation")
            servers.wait_until(lambda seen=before: count(watcher, "invocation") > seen)
            watcher.dispose()
            server.stop()
            time.sleep(0.5)
            server.start()
        servers.wait_until(lambda: list(folder.iterdir()) == [], 60)
        stop.set()
        runner.join()
        assert count(watcher, "invocation") == 15_000
        assert accounts(watcher, folder).balanced
        engine.dispose()
        watcher.dispose()
    assert caplog.text.count("the store does not take rows") == 2


def test_rows_of_any_time_find_a_partition(postgresql_engine: Engine, folder: Path) -> None:
    now = now_us()
    times = [0, now - 200 * partitions.DAY_US, now, now + 5 * partitions.DAY_US, 4_102_444_800_000_000]
    body = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [[1.0, 2, "a"]]}}
    traffic.fill(folder, [traffic.invocation(body, {"predictions": [1]}, at_us=at) for at in times])
    load(postgresql_engine, folder)
    assert count(postgresql_engine, "invocation") == 5
    assert count(postgresql_engine, "invocation_default") == 3
    today = partitions.partition_name(prediction_table(), partitions.day_of(now))
    assert count(postgresql_engine, today) == 1


def test_a_model_of_a_thousand_numbers_is_loaded_and_verified(engine: Engine, folder: Path) -> None:
    names = [f"f{i}" for i in range(1000)]
    types = ["double", "long", "boolean", "integer", "float"]
    inputs = [{"name": n, "type": types[i % 5], "required": True} for i, n in enumerate(names)]
    wide = ModelIdentity(name="wide", version="1", uri="u", signature=traffic.signature(inputs))
    cells = [[0.25, 7, True, -3, 0.5][i % 5] for i in range(1000)]
    cells[0] = None  # type: ignore[call-overload]
    body = {"dataframe_split": {"columns": names, "data": [cells, cells[:]]}}
    traffic.fill(folder, [traffic.invocation(body, {"predictions": [1, 0]})], wide)
    assert load(engine, folder).rows == 2
    from driftline.store.reads import model_versions, sample_rows

    with engine.connect() as connection:
        frame = sample_rows(connection, model_versions(connection)[0], None, None, 10)
    assert frame.shape == (2, 1001)
    assert frame.iloc[0, 1:].tolist() == [*cells[1:], 1]
    assert frame["f0"].isna().all()
