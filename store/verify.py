"""Check that what the store says of itself agrees, exactly: positions, invocations, rows and profiles.

What retention has taken is counted as such, and the profiles that outlive their rows are left out.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from driftline.store import schema
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile.reference import Reference
from driftline.store.profile_check import check_profiles
from driftline.store.reads import count_rows, model_versions
from driftline.store.references import newest_reference
from driftline.store.retention.days import whole_days
from driftline.store.retention.ledger import complete_from, forgotten_days, forgotten_letters, pruned_so_far
from driftline.store.segments.check import check_segments


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison; ``agrees`` says whether it holds, ``detail`` what was compared."""

    name: str
    agrees: bool
    detail: str


def verify(engine: Engine) -> list[Check]:
    """Return all comparisons, made on one snapshot; loading may go on meanwhile."""
    with whole_days(engine) as connection:
        checks = [_records(connection)]
        for version in model_versions(connection):
            checks.append(_rows(connection, version))
            in_force = newest_reference(connection, version.id)
            if in_force is not None:
                checks.append(_profiles(connection, version, *in_force))
                if in_force[1].segments:
                    checks.append(_segments(connection, version, in_force))
    return checks


def _records(connection: Connection) -> Check:
    p = schema.spool_position.c
    stored = int(connection.execute(select(func.coalesce(func.sum(p.stored), 0))).scalar_one())
    invocations = _count(connection, select(func.count()).select_from(schema.invocation))
    letters = _count(connection, select(func.count()).select_from(schema.dead_letter))
    pruned = pruned_so_far(connection)
    forgotten = forgotten_letters(connection)
    gone = pruned.invocations + pruned.dead_letters
    detail = f"{stored} records stored by the spools' positions, {invocations} invocations, {letters} dead letters"
    detail += f", {gone} pruned" if gone else ""
    detail += f", {forgotten} dead letters forgotten" if forgotten else ""
    return Check("records", stored == invocations + letters + gone + forgotten, detail)


def _rows(connection: Connection, version: ModelVersion) -> Check:
    t = schema.invocation.c
    query = select(func.coalesce(func.sum(t.row_count), 0)).where(t.model_version_id == version.id)
    said = _count(connection, query)
    there = count_rows(connection, version, None, None)
    return Check(f"rows of {version.name} {version.version}", said == there,
                 f"{said} rows by their invocations, {there} in {version.table.name}")  # fmt: skip


def _profiles(connection: Connection, version: ModelVersion, reference_id: int, reference: Reference) -> Check:
    partial = forgotten_days(connection, version.id)
    found = check_profiles(connection, version, reference_id, reference, complete_from(connection), partial)
    detail = f"{found.counted} rows in profiles, {found.recomputed} recomputed, {found.differing} profiles differ"
    detail += f"; left out: {len(partial)} days of which rows were forgotten" if partial else ""
    return Check(f"profiles of {version.name} {version.version}", found.agrees, detail)


def _segments(connection: Connection, version: ModelVersion, in_force: tuple[int, Reference]) -> Check:
    found = check_segments(
        connection, version, in_force, complete_from(connection), forgotten_days(connection, version.id)
    )
    detail = f"{found.counted} rows in segments, {found.recomputed} recomputed, {found.differing} profiles differ"
    detail += f", {found.waiting} hours to be counted anew" if found.waiting else ""
    return Check(f"segments of {version.name} {version.version}", not found.differing, detail)


def _count(connection: Connection, query: object) -> int:
    return int(connection.execute(query).scalar_one())  # type: ignore[call-overload]
