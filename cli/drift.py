"""``driftline drift``: judge live data against the training reference now, or recompute what it is judged by."""

from typing import TYPE_CHECKING

import click
import orjson

from driftline.cli.base_options import base_options
from driftline.cli.drift_backfill import backfill
from driftline.cli.since import Since
from driftline.store.settings import BaseSettings

if TYPE_CHECKING:
    from driftline.monitor.judge import Judgement


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
    type=Since(),
    default="24h",
    show_default=True,
    help="How far back to look: 24h, 7d, 90m, or a time such as 2026-01-31T12:00:00Z.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--fail-on-drift", is_flag=True, help="Exit with 3 when a column drifted.")
@base_options
def now(base: BaseSettings, model: str, since: int, as_json: bool, fail_on_drift: bool) -> None:
    """Judge live data against the training reference now.

    MODEL is a name, name/version or models:/name/version; a name alone means the version that had rows last.
    """
    judged = _judge(base, model, since)
    if as_json:
        from driftline.monitor.judge import document

        click.echo(orjson.dumps(document(judged), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(_table(judged))
    if fail_on_drift and any(d.verdict == "drift" for d in judged.drifts):
        raise SystemExit(3)


def _judge(base: BaseSettings, model: str, since_us: int) -> "Judgement":
    from driftline.cli.job_context import open_context
    from driftline.monitor.judge import judge
    from driftline.monitor.reference import require
    from driftline.monitor.watch import find_version

    context = open_context(base, create=False)
    with context.engine.connect() as connection:
        version = find_version(connection, model, since_us)
    require(context.engine, context.link, version)
    with context.engine.connect() as connection:
        judged = judge(connection, version, version.arms[0], (since_us, context.clock()), context.drift)
    assert judged is not None  # required above
    return judged


def _table(judged: "Judgement") -> str:
    from driftline.monitor.judge import iso

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
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads) - 1)]
    lines = []
    for row, changed in zip(rows, below, strict=True):
        cells = [
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip() + changed)
    start, end = judged.window
    head = (
        f"{judged.version.label}: {judged.rows} rows from {iso(start)} to {iso(end)}, against "
        f"{judged.reference.row_count} rows of training data"
    )
    return "\n".join([head, *lines])
