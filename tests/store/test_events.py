"""Events as files on their way into the store."""

import os
from pathlib import Path

import orjson
import pytest
import store_traffic as traffic
from sqlalchemy import Engine, Row, select, text

from driftline.store import schema
from driftline.store.engine import open_engine
from driftline.store.events import FOLDER, Event, leave_event, load_events
from driftline.store.loader.loader import Loader, LoaderSettings


def rows(engine: Engine) -> list[Row[tuple[object, ...]]]:
    t = schema.event
    with engine.connect() as connection:
        return list(connection.execute(select(t).order_by(t.c.at)).all())


def versions(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM model_version")).scalar_one())


def test_an_event_goes_through_json_unchanged() -> None:
    event = Event("model failed", 5, traffic.CLF, {"reason": "it \u0000 raised \u00e9"})
    assert Event.from_json(event.to_json()) == event
    assert Event.from_json(Event("alias moved", 6).to_json()).identity is None


def test_the_loader_stores_what_was_left_in_order_and_removes_the_files(engine: Engine, tmp_path: Path) -> None:
    leave_event(tmp_path, Event("model loaded", 20, traffic.CLF, {"arm": "champion"}))
    leave_event(tmp_path, Event("alias moved", 10, traffic.CLF, {"to": "3"}))
    Loader(engine, tmp_path, LoaderSettings()).load_once()
    found = rows(engine)
    assert [(row.at, row.kind) for row in found] == [(10, "alias moved"), (20, "model loaded")]
    assert [orjson.loads(row.detail).get("arm") for row in found] == [None, "champion"]
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_only_a_version_that_is_served_becomes_known_by_an_event(engine: Engine, tmp_path: Path) -> None:
    leave_event(tmp_path, Event("model failed", 10, traffic.CLF))
    load_events(engine, tmp_path)
    assert (versions(engine), rows(engine)[0].model_version_id) == (0, None)
    leave_event(tmp_path, Event("model loaded", 20, traffic.CLF))
    leave_event(tmp_path, Event("model failed", 30, traffic.CLF))
    load_events(engine, tmp_path)
    assert versions(engine) == 1
    assert [row.model_version_id is None for row in rows(engine)] == [True, False, False]


def test_an_event_whose_file_outlived_its_commit_is_stored_once(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = Event("model loaded", 10, traffic.CLF)
    leave_event(tmp_path, event)
    leave_event(tmp_path, Event("model loaded", 10, traffic.CLF))  # another one of the same microsecond

    def die(self: Path, missing_ok: bool = False) -> None:
        raise OSError(5, "the process ended here")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", die)
        load_events(engine, tmp_path)
    assert len(rows(engine)) == 2
    load_events(engine, tmp_path)
    assert len(rows(engine)) == 2
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_events_wait_while_the_database_is_away(engine: Engine, tmp_path: Path) -> None:
    leave_event(tmp_path, Event("model loaded", 10, traffic.CLF))
    away = open_engine(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.sqlite'}", probe=False)
    with pytest.raises(Exception, match="unable to open"):
        load_events(away, tmp_path)
    away.dispose()
    assert load_events(engine, tmp_path) == 1


def test_what_is_no_event_is_set_aside_and_stops_no_other(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "00000000000000000001-torn.json").write_bytes(b'{"kind": "mod')
    leave_event(tmp_path, Event("model loaded", 10, traffic.CLF))
    assert load_events(engine, tmp_path) == 1
    assert os.listdir(tmp_path / FOLDER) == ["00000000000000000001-torn.refused"]
