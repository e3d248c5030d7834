"""Which model versions the monitor watches.

A version is watched while it is the newest of its model or had rows in the window; what is neither has retired, and
its gauges go with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, Row, func, select

from driftline.store import schema
from driftline.store.errors import ModelNotFound
from driftline.store.prediction_tables import ModelVersion, model_version_of
from driftline.store.records import Arm, ModelIdentity


@dataclass(frozen=True, slots=True)
class WatchedVersion:
    """A model version under watch.

    Attributes:
        stored: as the store's reads take it.
        identity: as MLflow knows it.
        arms: under which rows came in the window; where none came, that under which it was last served.
        first_served_at_us, last_rows_at_us: the latter is the start of the newest profile, None where there is none.
    """

    stored: ModelVersion
    identity: ModelIdentity
    arms: tuple[Arm, ...]
    first_served_at_us: int
    last_rows_at_us: int | None

    @property
    def id(self) -> int:
        return self.stored.id

    @property
    def precedence(self) -> tuple[bool, int, int, int]:
        """Higher is what a model's name means: the champion before a challenger, then who had rows last."""
        is_champion = Arm.CHAMPION in self.arms
        return is_champion, self.last_rows_at_us or 0, self.first_served_at_us, self.id

    @property
    def label(self) -> str:
        return f"{self.stored.name}/{self.stored.version}"


def watched_versions(connection: Connection, since_us: int) -> list[WatchedVersion]:
    """Return the versions that are the newest of their model or had rows since ``since_us``, by name, newest first."""
    t = schema.model_version
    rows = connection.execute(select(t).order_by(t.c.name, t.c.first_served_at.desc(), t.c.id.desc())).all()
    found: dict[tuple[str, str], WatchedVersion] = {}
    names: set[str] = set()
    for row in rows:
        version = _watched(connection, row, since_us)
        if row.name not in names or (version.last_rows_at_us or row.first_served_at) >= since_us:
            # A version that was made anew with another signature hides its namesake.
            found.setdefault((row.name, row.version), version)
        names.add(row.name)
    return list(found.values())


def find_version(connection: Connection, model: str, since_us: int) -> WatchedVersion:
    """Return the version that ``name``, ``name/version`` or ``models:/name/version`` means.

    A name alone means the champion that had rows last; where none had, the one that was first served last.

    Raises:
        ModelNotFound: the store has no such version; names those that it has.
    """
    t = schema.model_version
    wanted = model.removeprefix("models:/")
    rows = connection.execute(select(t).order_by(t.c.first_served_at.desc(), t.c.id.desc())).all()
    exact = [r for r in rows if f"{r.name}/{r.version}" == wanted or r.uri == model]
    matching = exact or [r for r in rows if r.name == wanted] or [r for r in rows if f"{r.name}@{r.alias}" == wanted]
    if not matching:
        known = ", ".join(sorted({f"{r.name}/{r.version}" for r in rows})[:8])
        raise ModelNotFound(
            f"the store holds no model {model} ({f'it holds {known}' if known else 'it holds none yet'}): "
            "serve it with `driftline serve -m URI` and send it a request"
        )
    versions = [_watched(connection, row, since_us) for row in matching]
    return max(versions, key=lambda v: v.precedence)


def _watched(connection: Connection, row: Row[tuple[object, ...]], since_us: int) -> WatchedVersion:
    p = schema.profile
    rows = connection.execute(
        select(p.c.arm, func.max(p.c.bucket_start)).where(p.c.model_version_id == row.id).group_by(p.c.arm)
    )
    latest = [(Arm(arm), int(at)) for arm, at in rows]
    arms = tuple(sorted(arm for arm, at in latest if at >= since_us))
    return WatchedVersion(
        stored=model_version_of(row),
        identity=ModelIdentity(
            name=row.name,
            version=row.version,
            uri=row.uri,
            run_id=row.run_id,
            model_id=row.model_id,
            alias=row.alias,
            flavor=row.flavor,
            created_at_us=row.trained_at,
            signature=orjson.loads(row.signature) if row.signature else None,
        ),
        arms=arms or (_idle_arm(connection, row.id, latest),),
        first_served_at_us=row.first_served_at,
        last_rows_at_us=max((at for _, at in latest), default=None),
    )


def _idle_arm(connection: Connection, model_version_id: int, latest: Sequence[tuple[Arm, int]]) -> Arm:
    """Return the arm that a version had last, by its rows or by what was said when it was loaded."""
    e = schema.event.c
    loaded = connection.execute(
        select(e.at, e.detail)
        .where(e.model_version_id == model_version_id, e.kind == "model loaded")
        .order_by(e.at.desc())
        .limit(1)
    ).one_or_none()
    arm, at = max(latest, key=lambda found: found[1], default=(Arm.CHAMPION, 0))
    if loaded is not None and loaded.at > at:
        arm = Arm[orjson.loads(loaded.detail).get("arm", "champion").upper()]
    return arm
