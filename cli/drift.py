"""``driftline drift``: judge live data against the training reference now, or recompute what it is judged by."""

from typing import TYPE_CHECKING

import click
import orjson

from driftline.cli.aligned import aligned
from driftline.cli.base_options import base_options
from driftline.cli.drift_backfill import backfill
from driftline.cli.drift_beyond import multivariate_line, quality_table
from driftline.cli.drift_segments import tell_segments
from driftline.cli.since import Since
from driftline.store.settings import BaseSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from driftline.monitor.jobs.job import JobContext
    from driftline.monitor.judge import Judgement
    from driftline.monitor.multivariate.check import MultivariateDrift
    from driftline.monitor.watch import WatchedVersion
    from driftline.store.records import Arm


class _ByDefault(click.Group):
    """A group whose first argument may also be a model: that is the command ``now``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["now", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ByDefault, subcommand_metavar="MODEL [OPTIONS] | COMMAND ...")
def drift() -> None:
    """Judge live data against the training reference; `driftline drift MODEL` is `driftline drift now MODEL`."""


drift.add_command(backfill)


@drift.command()
@click.argument("model")
@click.option(
    "--since",
    type=Since(before_now=True),
    default="24h",
    show_default=True,
    help="How far back to look: 24h, 7d, 90m, or a time such as 2026-01-31T12:00:00Z.",
)
@click.option(
    "--arm",
    type=click.Choice(["champion", "shadow", "canary"]),
    help="Whose rows; the champion's where it had any in the time, else the challenger's.",
)
@click.option("--segment", metavar="COLUMN", help="Judge each segment of this column, one of [segments] columns.")
@click.option("--multivariate", is_flag=True, help="Check all inputs together now, which takes some seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--fail-on-drift", is_flag=True, help="Exit with 3 when a column drifted.")
@base_options
def now(
    base: BaseSettings,
    model: str,
    since: int,
    arm: str | None,
    segment: str | None,
    multivariate: bool,
    as_json: bool,
    fail_on_drift: bool,
) -> None:
    """Judge live data against the training reference now: each column, the quality of the rows, all inputs together.

    MODEL is a name, name/version or models:/name/version; a name alone means the version that had rows last.
    """
    from driftline.cli.job_context import open_context
    from driftline.monitor.quality.examine import examine_judged

    context = open_context(base, create=False)
    if segment is not None:
        drifted = tell_segments(context, _watched(context, model, since, arm), segment, since, as_json=as_json)
        raise SystemExit(3 if drifted and fail_on_drift else 0)
    judged = _judge(context, model, since, arm)
    findings, check = examine_judged(context, judged), _multivariate(context, judged, multivariate)
    if as_json:
        from driftline.monitor.beyond_columns_document import multivariate_document, quality_document
        from driftline.monitor.judge import document

        told = document(judged) | {"quality": quality_document(findings), "multivariate": multivariate_document(check)}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(
            "\n\n".join(
                [_table(judged), quality_table(findings), multivariate_line(check, judged.window, now=multivariate)]
            )
        )
    if fail_on_drift and any(d.verdict == "drift" for d in judged.drifts):
        raise SystemExit(3)


def _judge(context: "JobContext", model: str, since_us: int, arm: str | None) -> "Judgement":
    from driftline.monitor.judge import judge
    from driftline.monitor.segments.parts import whole_settings

    version, of_arm = _watched(context, model, since_us, arm)
    with context.engine.connect() as connection:
        window, settings = (since_us, context.clock()), whole_settings(context, version)
        judged = judge(connection, version, of_arm, window, settings)
    assert judged is not None  # `_watched` required its reference
    return judged


def _watched(context: "JobContext", model: str, since_us: int, arm: str | None) -> "tuple[WatchedVersion, Arm]":
    """Return the version and arm that are meant; the version has a reference."""
    from driftline.monitor.training.reference import require
    from driftline.store.records import Arm

    wanted = None if arm is None else Arm[arm.upper()]
    with context.engine.connect() as connection:
        version = _version(connection, model, since_us, wanted)
    require(context.engine, context.link, version)
    return version, version.arms[0] if wanted is None else wanted


def _version(connection: "Connection", model: str, since_us: int, arm: int | None) -> "WatchedVersion":
    """Return the version that is meant: of a name alone, the one that had rows in the arm.

    Raises:
        ModelNotFound: it had none in the arm.
    """
    from driftline.monitor.watch import find_version, watched_versions
    from driftline.store.errors import ModelNotFound
    from driftline.store.records import Arm

    version = find_version(connection, model, since_us)
    if arm is None or arm in version.arms:
        return version
    named = version.identity.name
    alike = [v for v in watched_versions(connection, since_us) if model == v.identity.name == named and arm in v.arms]
    if not alike:
        raise ModelNotFound(
            f"{model} had no rows as {Arm(arm).name.lower()} in this time, but as "
            f"{', '.join(a.name.lower() for a in version.arms)}: name one of these, or reach further back by `--since`"
        )
    return max(alike, key=lambda v: v.precedence)


def _multivariate(context: "JobContext", judged: "Judgement", now: bool) -> "MultivariateDrift | None":
    from driftline.monitor.multivariate.check import check
    from driftline.monitor.rows.multivariate_rows import newest_check

    if now:
        return check(context, judged.version, judged.arm, judged.reference, judged.window)
    with context.engine.connect() as connection:
        return newest_check(connection, judged.version.id, judged.arm)


def _table(judged: "Judgement") -> str:
    from driftline.store.records import iso

    importances = judged.reference.importances is not None
    heads = ("column", "statistic", *(["importance"] if importances else []), "score", "threshold", "rows", "verdict")
    pictures, rows, below = judged.pictures(), [heads], [""]
    for d in judged.ranked:
        name = f"{d.name} (output)" if d.side == "output" else d.name
        share = judged.importance(d)
        relied_on = ["-" if share is None else f"{share:.1%}"] if importances else []
        score, threshold = ("-" if x is None else f"{x:.3f}" for x in (d.score, d.threshold))
        verdict = f"{d.verdict}: {d.reason}" if d.verdict != "no drift" else str(d.verdict)
        rows.append((name, d.statistic, *relied_on, score, threshold, str(d.window_rows), verdict))
        words = pictures[d.column_name].words if d.column_name in pictures else ()
        below.append("".join(f"\n    {said}" for said in words))
    start, end = judged.window
    head = (
        f"{judged.version.label}: {judged.rows} rows from {iso(start)} to {iso(end)}, against "
        f"{judged.reference.row_count} rows of training data"
    )
    return "\n".join([head, *aligned(rows, 2, below)])
