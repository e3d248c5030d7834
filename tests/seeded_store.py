"""A store as days of traffic and judgements leave it, written at once: for pages of any models.

Verdicts are made up; the reference, the profiles and so the pictures are counted from drawn rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, insert

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.prediction_columns import prediction_columns
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.profile_levels import MINUTE, MINUTE_US, bucket_values, floor
from driftline.store.records import Arm, ModelIdentity, new_invocation_id
from driftline.store.references import save_reference

HOUR_US, DAY_US = 60 * MINUTE_US, 24 * 60 * MINUTE_US
Data = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class SeededModel:
    """What a model is to look like.

    Attributes:
        categories: the names of each categorical column's categories.
        drifted: columns whose rows differ from the reference and whose verdict says so.
        judgements: made, one every ``interval_us``, the last one a minute ago.
        profiles: buckets of a minute each, spread over seven days.
        requests: in the last half hour.
        referenced: whether it has a training reference, without which there are neither verdicts nor profiles.
    """

    name: str
    version: str = "1"
    alias: str | None = None
    numeric: Sequence[str] = ("age", "income", "tenure")
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    drifted: Sequence[str] = ()
    judgements: int = 48
    interval_us: int = 30 * MINUTE_US
    profiles: int = 60
    requests: int = 120
    referenced: bool = True
    seed: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.numeric, *self.categories)

    def identity(self, now_us: int) -> ModelIdentity:
        types = [{"name": c, "type": "double", "required": True} for c in self.numeric]
        types += [{"name": c, "type": "string", "required": True} for c in self.categories]
        signature = {"inputs": orjson.dumps(types).decode(), "outputs": '[{"type": "double", "required": true}]'}
        uri = f"models:/{self.name}@{self.alias}" if self.alias else f"models:/{self.name}/{self.version}"
        return ModelIdentity(
            name=self.name, version=self.version, uri=uri, run_id=f"{self.seed:032x}", model_id=None,
            alias=self.alias, flavor="sklearn", signature=signature, created_at_us=now_us - (9 + self.seed) * DAY_US,
        )  # fmt: skip

    def rows(self, count: int, seed: int, shift: float = 0.0) -> Data:
        """Draw rows; ``shift`` moves the drifted columns."""
        rng = np.random.default_rng(seed)
        data: Data = {}
        for i, name in enumerate(self.numeric):
            moved = shift if name in self.drifted else 0.0
            kind = (rng.normal, rng.gumbel, rng.laplace)[i % 3]
            data[name] = kind(40 + moved * 9, 9, count)
        for name, categories in self.categories.items():
            weights = np.arange(len(categories), 0, -1.0) ** (1.5 - shift if name in self.drifted else 1.5)
            data[name] = rng.choice(np.array(categories, object), count, p=weights / weights.sum())
        return data


def seed(engine: Engine, model: SeededModel, now_us: int) -> int:
    """Write the model and what was seen and judged of it; return the id of its version."""
    identity = model.identity(now_us)
    columns = prediction_columns(identity.signature)
    with writing(engine) as connection:
        version = ensure_model_version(connection, identity)
        _requests(connection, model, version.id, now_us)
        _event(connection, model, version.id, now_us)
        if not model.referenced:
            return version.id
        named = {c.column_name: c for c in columns}
        training = _named(model.rows(3000, model.seed), named.keys(), columns)
        reference = build_reference(columns, training, source="train.parquet", made_at_us=now_us - 8 * DAY_US)
        reference_id = save_reference(connection, version.id, reference)
        _profiles(connection, model, (version.id, reference_id, int(Arm.CHAMPION)), reference, now_us)
        _judgements(connection, model, version.id, reference_id, now_us)
    return version.id


def _named(data: Data, names: object, columns: Sequence[object]) -> Data:
    """Return the data by the names that the store gives its columns, with an output made of the first."""
    by_name = {c.name: c.column_name for c in columns if c.side == "input"}  # type: ignore[attr-defined]
    output = next(c.column_name for c in columns if c.side == "output")  # type: ignore[attr-defined]
    named: Data = {by_name[name]: cells for name, cells in data.items()}
    first = next(iter(data.values()))
    return named | {output: np.sin(np.arange(len(first), dtype=np.float64))}


def _profiles(
    connection: Connection, model: SeededModel, owner: tuple[int, int, int], reference: Reference, now_us: int
) -> None:
    step = 7 * DAY_US // max(1, model.profiles)
    different = []
    for i in range(4):
        profile = reference.empty_profile()
        rows = _named(model.rows(50, 1000 + i, shift=0.8), (), reference.columns)
        profile.add(rows, 50)
        different.append(profile.to_bytes())
    rows_ = [
        {
            **bucket_values(owner, MINUTE, floor(now_us - 2 * MINUTE_US - i * step, MINUTE), "a spool"),
            "row_count": 50, "counts": different[i % 4],
        }
        for i in range(model.profiles)
    ]  # fmt: skip
    connection.execute(insert(schema.profile), rows_)


def _judgements(connection: Connection, model: SeededModel, version_id: int, reference_id: int, now_us: int) -> None:
    rng = np.random.default_rng(model.seed)
    runs, rows = schema.job_run, []
    everything = [*((name, "input") for name in model.columns), ("prediction", "output")]
    since = now_us - 5 * HOUR_US
    for i in range(model.judgements):
        at = now_us - MINUTE_US - (model.judgements - 1 - i) * model.interval_us
        run = connection.execute(insert(runs).values(
            job="drift", model_version_id=version_id, started_at=at - 700_000, finished_at=at, result="success",
            message=f"1,500 rows, drift in {len(model.drifted)} columns",
        )).inserted_primary_key  # fmt: skip
        assert run is not None
        for name, side in everything:
            drifts = name in model.drifted and at >= since
            score = float(rng.uniform(0.02, 0.09)) + (0.1 + 0.05 * len(name) / 10 if drifts else 0.0)
            numeric = side == "output" or name in model.numeric
            rows.append({
                "model_version_id": version_id, "job_run_id": run[0], "reference_id": reference_id, "arm": 0,
                "side": side, "column_name": name, "kind": "numeric" if numeric else "categorical",
                "statistic": "wasserstein" if numeric else "jensen_shannon",
                "window_start": at - (DAY_US if drifts else 7 * DAY_US), "window_end": at, "window_rows": 1500,
                "score": score, "threshold": 0.1, "effect": 0.8 if drifts else 0.0, "since": since if drifts else None,
                "verdict": "drift" if drifts else "no drift",
                "reason": f"mean rose from 40 to 47.2; score {score:.3g} {'over' if drifts else 'under'} threshold 0.1",
                "missing_share": 0.01, "reference_missing_share": 0.01,
                "unseen_share": None if numeric else 0.02, "out_of_range_share": 0.03 if numeric else None,
                "computed_at": at,
            })  # fmt: skip
    if rows:
        connection.execute(insert(schema.drift_result), rows)
    episode = {"model_version_id": version_id, "arm": 0, "near_at": now_us, "judgements": 9, "opened_at": since}
    opened = [{**episode, "side": "input", "column_name": name, "peak": 2.5} for name in model.drifted]
    if opened:
        connection.execute(insert(schema.drift_episode), [*opened, {**opened[0], "column_name": ""}])


def _requests(connection: Connection, model: SeededModel, version_id: int, now_us: int) -> None:
    rng = np.random.default_rng(model.seed)
    if model.requests:
        times = now_us - 30 * MINUTE_US + np.arange(model.requests) * (30 * MINUTE_US // model.requests)
        connection.execute(insert(schema.invocation), [
            {
                "id": new_invocation_id(int(at)), "received_at": int(at), "model_version_id": version_id, "arm": 0,
                "status": 200 if i % 50 else 500, "row_count": 12, "parse_us": 0, "predict_us": 0, "encode_us": 0,
                "latency_us": int(rng.gamma(3, 1500)),
            }
            for i, at in enumerate(times)
        ])  # fmt: skip


def _event(connection: Connection, model: SeededModel, version_id: int, now_us: int) -> None:
    detail = {"arm": "champion", "uri": model.identity(now_us).uri, "from": None, "seconds": 1.4, "host": "scorer-1"}
    connection.execute(insert(schema.event).values(
        at=now_us - 9 * DAY_US, kind="model loaded", model_version_id=version_id, detail=orjson.dumps(detail).decode()
    ))  # fmt: skip
