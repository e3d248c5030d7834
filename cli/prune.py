"""``driftline store prune``: take away what is older than the settings keep."""

from typing import TYPE_CHECKING, Any

import click

from driftline.cli.base_options import base_options
from driftline.cli.open_store import open_store
from driftline.cli.progress import counted
from driftline.cli.since import span_seconds
from driftline.store.records import now_us
from driftline.store.settings import BaseSettings, load_section

if TYPE_CHECKING:
    from driftline.store.retention.days import StoredDay

_NOTHING_CONFIGURED = (
    "invocations and their rows are kept for ever, as nothing else is configured: set keep_days or keep_bytes in "
    "[retention] of driftline.toml, DRIFTLINE_RETENTION_KEEP_DAYS, or type `driftline store prune --older-than 30d`"
)
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
@base_options
def prune(base: BaseSettings, older_than: float | None, dry_run: bool) -> None:
    """Take away what is older than the settings keep.

    Days of invocations and predictions go whole (UTC), today never. The section [retention] says how long what is kept.
    """
    from driftline.store.retention import prune as pruning
    from driftline.store.retention.settings import RetentionSettings

    settings = load_section(RetentionSettings, "retention")
    if older_than is not None:
        settings = pruning.older_than(settings, older_than)
    engine = open_store(base)
    if dry_run:
        days = pruning.plan(engine, settings, now_us())
        for day in days:
            click.echo(_line(day))
        click.echo(f"{counted(len(days), 'day')} would go, about {_size(sum(day.bytes for day in days))}")
    else:
        click.echo(f"pruned {pruning.prune(engine, settings, now_us())}")
    if not (settings.keep_days or settings.keep_bytes):
        click.echo(_NOTHING_CONFIGURED)


def _line(day: "StoredDay") -> str:
    from driftline.store.retention.days import day_text

    held = f"{counted(day.invocations, 'invocation')}  {counted(day.rows, 'row')}"
    return f"{day_text(day.day)}  {held}  about {_size(day.bytes)}"


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
