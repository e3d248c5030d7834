"""``driftline store prune``: take away what is older than the settings keep."""

from typing import TYPE_CHECKING, Any

import click

from driftline.cli.open_store import open_store
from driftline.cli.since import span_seconds
from driftline.store.records import now_us
from driftline.store.settings import load_section

if TYPE_CHECKING:
    from driftline.store.retention.days import StoredDay

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Span(click.ParamType[float]):
    """Reads ``30d``, ``12h`` or ``2w`` as seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = value if isinstance(value, float) else span_seconds(str(value))
        return self.fail(f"{value!r} is no span like 30d, 12h, 2w", param, ctx) if seconds is None else seconds


@click.command()
@click.option("--older-than", type=Span(), help="In place of keep_days in [retention]: 30d, 12h, 2w.")
@click.option("--dry-run", is_flag=True, help="Say which days would go, and take nothing.")
def prune(older_than: float | None, dry_run: bool) -> None:
    """Take away what is older than the settings keep.

    Days of invocations and predictions go whole (UTC), today never. The section [retention] says how long what is kept.
    """
    from driftline.store.retention import prune as pruning
    from driftline.store.retention.settings import RetentionSettings

    settings = load_section(RetentionSettings, "retention")
    if older_than is not None:
        settings = pruning.older_than(settings, older_than)
    _, engine = open_store()
    if not dry_run:
        click.echo(f"pruned {pruning.prune(engine, settings, now_us())}")
        return
    days = pruning.plan(engine, settings, now_us())
    for day in days:
        click.echo(_line(day))
    click.echo(f"{len(days)} days would go, about {_size(sum(day.bytes for day in days))}")


def _line(day: "StoredDay") -> str:
    from driftline.store.retention.days import day_text

    return f"{day_text(day.day)}  {day.invocations} invocations  {day.rows} rows  about {_size(day.bytes)}"


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
