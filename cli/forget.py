"""``driftline store forget``: delete what the store holds of one request or of one person."""

import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import click

from driftline.cli.base_options import base_options
from driftline.cli.open_store import open_store
from driftline.store.settings import BaseSettings

if TYPE_CHECKING:
    from driftline.store.forget import Subject

_BEYOND = """not reached from here, look there too:
  exports (`driftline store export` writes none of these rows from now on), backups, copies of the database
  MLflow: references, their samples and reports are artifacts; <home>/references holds copies of samples
  spools of other hosts that are not loaded yet
  profiles, results and reports in the store are sums and stay; those of a text column count its values by their words:
  hash or drop a key column in [redaction] where these must not be kept"""
_VACUUM = "PostgreSQL keeps the deleted bytes until it vacuums: `VACUUM` as the owner of the tables"


@click.command()
@click.option("--request-id", help="An id from x-driftline-invocation-id, or the client's own X-Request-Id.")
@click.option("--model", help="With --key-column and --key: whose rows.")
@click.option("--key-column", help="An input of the model, as its signature names it.")
@click.option("--key", help="The value in that column; `-` reads it from standard input, where no `ps` shows it.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and take nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@base_options
def forget(
    base: BaseSettings, request_id: str | None, model: str | None, key_column: str | None, key: str | None,
    dry_run: bool, yes: bool,
) -> None:  # fmt: skip
    """Delete what is kept of one request or one value of a key.

    That is rows, bodies, labels, rejects, dead letters and events that wait. Requests stay as lines of status and
    latency, and what was summed stays.
    """
    from driftline.store.forget import Forgotten, require_loaded
    from driftline.store.forget import forget as forget_subject

    subject = _subject(request_id, model, key_column, key)
    engine = open_store(base)
    require_loaded(engine, base.spool_folder)
    found = forget_subject(engine, subject, dry_run=True)
    for part in fields(Forgotten):
        click.echo(f"{getattr(found, part.name):>8}  {part.name.replace('_', ' ')}")
    if not found:
        click.echo("the store holds nothing of that")
    elif dry_run:
        click.echo("nothing was deleted: type it again without --dry-run")
    else:
        if not yes and not click.confirm("delete them? They cannot be had back"):
            sys.exit(1)
        forget_subject(engine, subject)
        click.echo("deleted")
        if engine.dialect.name == "postgresql":
            click.echo(_VACUUM)
    click.echo(_BEYOND)


def _subject(request_id: str | None, model: str | None, key_column: str | None, key: str | None) -> "Subject":
    from driftline.store.forget import KeySubject, RequestSubject
    from driftline.store.redaction import load_redaction

    by_key = (model, key_column, key)
    if request_id and not any(by_key):
        return RequestSubject(request_id)
    if request_id or model is None or key_column is None or key is None:
        raise click.UsageError("give --request-id ID, or --model M --key-column COLUMN --key VALUE")
    value = sys.stdin.readline().rstrip("\r\n") if key == "-" else key
    if not value:
        raise click.UsageError("the key is empty: a person has one")
    redaction = load_redaction()
    kept = redaction.cell(key_column, value) if redaction else value
    if not isinstance(kept, str) or (redaction and redaction.methods.get(key_column) in ("drop", "mask")):
        raise click.UsageError(f"{key_column} is not kept in a form that tells people apart: name another key column")
    return KeySubject(model, key_column, kept)
