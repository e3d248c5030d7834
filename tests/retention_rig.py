"""Days of traffic in a store, and what is left of them."""

from pathlib import Path

import store_traffic as traffic
from sqlalchemy import Engine, select, text

from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.partitions import DAY_US, day_of
from driftline.store.records import Invocation, now_us
from driftline.store.retention.settings import RetentionSettings
from driftline.store.verify import verify

NOW = now_us()
TODAY = day_of(NOW)
FOREVER = RetentionSettings(0, 0, 0, 0)


def keep(days: float) -> RetentionSettings:
    return RetentionSettings(keep_days=days)


def a_day(day: int, count: int = 40, rows: int = 2) -> list[Invocation]:
    """Invocations spread evenly over a UTC day, the first and the last moment among them."""
    columns = ["age", "visits", "plan"]
    body = {"dataframe_split": {"columns": columns, "data": [[40.5, 3, "gold"]] * rows}}
    times = [day * DAY_US + i * (DAY_US - 1) // (count - 1) for i in range(count)]
    return [traffic.invocation(body, {"predictions": [1] * rows}, at_us=at) for at in times]


def load(engine: Engine, home: Path, *days: int, count: int = 40, rows: int = 2) -> None:
    traffic.fill(home / "spool", [one for day in days for one in a_day(day, count, rows)])
    Loader(engine, home / "spool", LoaderSettings()).load_once()


def days_there(engine: Engine) -> dict[int, int]:
    """Invocations by day."""
    with engine.connect() as connection:
        times = connection.scalars(select(schema.invocation.c.received_at)).all()
    return {day - TODAY: sum(day_of(at) == day for at in times) for day in sorted({day_of(at) for at in times})}


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def assert_whole(engine: Engine, home: Path) -> None:
    """The store agrees with itself, and the accounts balance."""
    differing = [check for check in verify(engine) if not check.agrees]
    assert not differing
    assert accounts(engine, home / "spool").balanced
