"""``driftline labels``: load, match, status, rejects."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from driftline.cli.base_options import base_options
from driftline.cli.open_store import open_store
from driftline.cli.progress import counted, progress_bar
from driftline.store.errors import ConfigurationError
from driftline.store.records import iso
from driftline.store.settings import BaseSettings, load_section

if TYPE_CHECKING:
    from driftline.store.labels.loading import LabelReport
    from driftline.store.labels.settings import LabelSettings
    from driftline.store.labels.sources import Source


@click.group()
def labels() -> None:
    """Load what turned out to be true, and see what became of it."""


@labels.command()
@click.argument("source", metavar="FILE|SQL-URL")
@click.option("--query", help="What to ask the database at SQL-URL; its columns are the fields.")
@click.option("--model", default="", help="The model that the labels are about.  [default: any]")
@click.option("--key-column", help="Input column that labels without a request id are found by.  "
              "[default: key_column in [labels]]")  # fmt: skip
@click.option("--repeated-keys", type=click.Choice(["reject", "newest", "all"]),
              help="What a key of several rows means.  [default: repeated_keys in [labels], reject]")  # fmt: skip
@click.option("--label-field", default="label", show_default=True, help="The field that holds the label.")
@click.option("--id-field", default="request_id", show_default=True, help="The field that holds the request's id.")
@click.option("--row-field", default="row", show_default=True, help="The field that holds the row's index.")
@click.option("--time-field", default="event_time", show_default=True, help="The field that says when it became true.")
@base_options
def load(
    base: BaseSettings, source: str, query: str | None, model: str, key_column: str | None, repeated_keys: Any,
    label_field: str, id_field: str, row_field: str, time_field: str,
) -> None:  # fmt: skip
    """Load labels from a file (.csv, .parquet, .jsonl, .ndjson, .json) or a database.

    A label names its row by request id (ours or the client's own X-Request-Id) and row index, or by a value of the
    model's key column. What is not in force afterwards waits for its request, or is kept with the reason:
    `driftline labels rejects`.
    """
    from driftline.store.labels.loading import load_labels
    from driftline.store.labels.record import Fate, Fields
    from driftline.store.redaction import load_redaction

    settings = _settings()
    if repeated_keys:
        settings = replace(settings, repeated_keys=repeated_keys)
    key = settings.key_column_of(model) if key_column is None else key_column
    fields = Fields(id_field, row_field, label_field, time_field, key)
    engine = open_store(base)
    with _opened(source, query, label_field) as opened, progress_bar(opened.length, "labels") as bar:

        def moved(_: int) -> None:
            bar.update(opened.position() - bar.pos)

        redaction = load_redaction()
        records = map(redaction.label, opened.records) if redaction else opened.records
        report = load_labels(engine, settings, records, fields, model, moved)
    _tell(report)
    if key and report.fates[Fate.AMBIGUOUS] and settings.repeated_keys == "reject":
        click.echo("where a key is that of several rows, load again with `--repeated-keys newest`, for the newest of "
                   "them, or `all`")  # fmt: skip


@labels.command()
@base_options
def match(base: BaseSettings) -> None:
    """Look for the requests of the labels that wait, now; the monitor does it at its times."""
    from driftline.store.labels.pending import match_pending
    from driftline.store.records import now_us

    _tell(match_pending(open_store(base), _settings(), now_us(), all_of_them=True))


@labels.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@base_options
def status(base: BaseSettings, as_json: bool) -> None:
    """Tell what became of all labels."""
    from driftline.store.labels.accounts import label_accounts, labels_in_force
    from driftline.store.labels.rejects import rejects_kept

    with open_store(base).connect() as connection:
        found, in_force, rejects = label_accounts(connection), labels_in_force(connection), rejects_kept(connection)
    if as_json:
        fates: dict[str, dict[str, int]] = {}
        for (model, fate), number in sorted(found.fates.items()):
            fates.setdefault(model, {})[fate] = number
        document = {"in_force": in_force, "pending": found.pending, "oldest_pending_at": _time(found.oldest_pending_us),
                    "rejects_kept": rejects, "ever": fates}  # fmt: skip
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return
    click.echo(f"{counted(in_force, 'row')} with a label, {counted(found.pending, 'label')} pending"
               f"{f', the oldest since {_time(found.oldest_pending_us)}' if found.pending else ''}")  # fmt: skip
    if found.fates:
        click.echo("what became of all labels that were ever loaded, each time anew:")
    for (model, fate), number in sorted(found.fates.items()):
        click.echo(f"  {model or 'model not known'}: {number} {fate}")
    if rejects:
        click.echo(f"{counted(sum(rejects.values()), 'reject')} kept, also where the label was loaded again since and "
                   "stored: `driftline labels rejects`")  # fmt: skip


@labels.command()
@click.option("--reason", help="Only these: older, ambiguous, wrong_type ...")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@base_options
def rejects(base: BaseSettings, reason: str | None, limit: int, as_json: bool) -> None:
    """List rejected labels as they came, newest first."""
    from driftline.store.labels.record import REASONS, REJECTS
    from driftline.store.labels.rejects import newest_rejects

    if reason is not None and reason not in REJECTS:
        raise ConfigurationError(f"--reason should be one of {', '.join(REJECTS)}, found {reason!r}")
    with open_store(base).connect() as connection:
        found = newest_rejects(connection, limit, reason)
    for row in found:
        said = {"received_at": _time(row.received_at), "reason": row.reason, "model": row.model_name,
                "key_column": row.key_column, "content": row.content}  # fmt: skip
        click.echo(orjson.dumps(said).decode() if as_json else f"{said['received_at']}  {row.reason}  {row.content}")
    if not as_json:
        for fate in sorted({row.reason for row in found} & REASONS.keys()):
            click.echo(f"{fate}: {REASONS[fate]}")


def _opened(source: str, query: str | None, label_field: str) -> "AbstractContextManager[Source]":
    from driftline.store.labels.sources import open_file, open_query

    if "://" not in source:
        if query is not None:
            raise ConfigurationError("--query goes with the URL of a database, found a file: leave it out")
        return open_file(Path(source), label_field)
    if query is None:
        raise ConfigurationError(
            "a database needs a question: --query 'SELECT request_id, outcome AS label FROM outcomes'"
        )
    return open_query(source, query)


def _settings() -> "LabelSettings":
    from driftline.store.labels.settings import LabelSettings

    return load_section(LabelSettings, "labels")


def _tell(report: "LabelReport") -> None:
    from driftline.store.labels.record import REJECTS

    click.echo(str(report))
    if rejected := sum(report.fates[fate] for fate in REJECTS):
        click.echo(f"{counted(rejected, 'reject')} kept with the reason: `driftline labels rejects`")


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else iso(at_us)
