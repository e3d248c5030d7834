"""Labels that come before their requests are matched later, or expire."""

from pathlib import Path

import store_traffic as traffic
from label_rig import about, counts, fates, labels, load, load_requests, rejects, request
from sqlalchemy import Engine, select

from driftline.store import schema
from driftline.store.labels.accounts import label_accounts
from driftline.store.labels.pending import match_pending
from driftline.store.labels.rejects import prune_rejects, rejects_kept
from driftline.store.labels.settings import LabelSettings
from driftline.store.partitions import DAY_US
from driftline.store.records import now_us

SETTINGS = LabelSettings(pending_days=2, keep_reject_days=3)


def waiting(engine: Engine) -> int:
    with engine.connect() as connection:
        return label_accounts(connection).pending


def test_a_label_that_was_faster_than_its_request_is_matched_when_that_is_there(engine: Engine, tmp_path: Path) -> None:
    one, two = request((1, "a"), (2, "b")), request((3, "c"), client_id="mine")
    load_requests(engine, tmp_path, request((9, "z")))
    records = [about(one, 1, row=1), {"request_id": "mine", "label": 0}, {"customer_id": 1, "label": 5}]
    assert load(engine, records, key="customer_id") == {"pending": 3}
    assert waiting(engine) == 3
    assert fates(match_pending(engine, SETTINGS, now_us() + 61_000_000)) == {}
    load_requests(engine, tmp_path, one, two)
    assert fates(match_pending(engine, SETTINGS, now_us() + 3600_000_000)) == {"stored": 3}
    assert labels(engine) == {(one.id, 1): "1", (two.id, 0): "0", (one.id, 0): "5"}
    assert waiting(engine) == 0
    assert counts(engine) == {("", "pending"): 3, ("buys", "stored"): 3}


def test_labels_wait_longer_from_try_to_try_unless_all_are_asked_for(engine: Engine, tmp_path: Path) -> None:
    one = request((1, "a"))
    load(engine, [about(one, 1)])
    came = now_us()
    match_pending(engine, SETTINGS, came + 600_000_000)
    t = schema.pending_label.c
    with engine.connect() as connection:
        pause = connection.scalar(select(t.next_try_at)) - (came + 600_000_000)
    assert 600_000_000 <= pause < 700_000_000
    load_requests(engine, tmp_path, one)
    assert fates(match_pending(engine, SETTINGS, came + 700_000_000)) == {}
    assert fates(match_pending(engine, SETTINGS, came + 700_000_000, all_of_them=True)) == {"stored": 1}


def test_a_label_that_waits_keeps_the_time_of_its_event(engine: Engine, tmp_path: Path) -> None:
    one = request((1, "a"))
    load(engine, [about(one, 1, event_time=2000), about(one, 0, event_time=1000), about(one, 1, event_time=1500)])
    assert waiting(engine) == 2
    load_requests(engine, tmp_path, one)
    assert load(engine, [about(one, 0, event_time=1999)]) == {"stored": 1}
    found = match_pending(engine, SETTINGS, now_us() + DAY_US)
    assert fates(found) == {"replaced": 1, "older": 1}
    assert labels(engine) == {(one.id, 0): "1"}


def test_a_request_that_never_comes_makes_a_reject_that_goes_with_time(engine: Engine) -> None:
    load(engine, [{"request_id": "never", "label": 1}])
    now = now_us()
    assert fates(match_pending(engine, SETTINGS, now + DAY_US)) == {}
    assert fates(match_pending(engine, SETTINGS, now + 3 * DAY_US)) == {"expired": 1}
    assert [reason for reason, _ in rejects(engine)] == ["expired"]
    assert waiting(engine) == 0
    assert prune_rejects(engine, SETTINGS, now + 2 * DAY_US) == 0
    assert prune_rejects(engine, SETTINGS, now + 4 * DAY_US) == 1
    with engine.connect() as connection:
        assert rejects_kept(connection) == {}


def test_labels_of_a_model_that_is_not_there_any_more_expire(engine: Engine, tmp_path: Path) -> None:
    load_requests(engine, tmp_path, request((1, "a")))
    load(engine, [{"customer_id": 4, "label": 1}], key="customer_id", model="buys")
    with engine.begin() as connection:
        connection.execute(schema.pending_label.update().values(model_name="gone"))
    assert fates(match_pending(engine, SETTINGS, now_us() + DAY_US)) == {}
    assert fates(match_pending(engine, SETTINGS, now_us() + 3 * DAY_US)) == {"expired": 1}


def test_more_labels_than_a_batch_holds_are_all_tried(engine: Engine, tmp_path: Path) -> None:
    requests = [request((i, "a"), client_id=f"c{i}", at_us=traffic.START_US + i) for i in range(20)]
    records = [{"request_id": f"c{i % 6000}", "label": 1} for i in range(6000)]
    assert load(engine, records) == {"pending": 6000}
    load_requests(engine, tmp_path, *requests)
    assert fates(match_pending(engine, SETTINGS, now_us() + DAY_US)) == {"stored": 20}
    assert waiting(engine) == 5980
