"""``driftline import``: calls that another system captured, so that endpoints that stay can be judged."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from driftline.cli.base_options import base_options
from driftline.cli.open_store import open_store
from driftline.cli.progress import counted, progress_bar
from driftline.store.settings import BaseSettings, load_section

if TYPE_CHECKING:
    from collections import Counter

    from driftline.store.imports.call import ImportedCall
    from driftline.store.imports.events import EventHalf
    from driftline.store.imports.fates import Fate
    from driftline.store.imports.loading import Unreadable
    from driftline.store.imports.settings import ImportSettings, Served

_BATCH = 1000


@click.group("import")
def imports() -> None:
    """Load calls that another system captured."""


@imports.command("sagemaker-capture")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--model", "model_uri", metavar="URI", required=True, help="What the endpoint serves, such as `models:/churn/3`."
)
@base_options
def sagemaker_capture(base: BaseSettings, path: Path, model_uri: str) -> None:
    """Load SageMaker's data capture.

    PATH is a file of JSON lines or a folder of such files, compressed or not.
    A call is stored once, by its eventId, however often and in however many pieces the capture is loaded: what broke
    off is typed again. What cannot be read is kept with the reason in the table dead_letter.
    """
    from driftline.scorer.model_source import identify
    from driftline.store.imports.bodies import signature_names
    from driftline.store.imports.loading import ImportLoading, ImportReport
    from driftline.store.imports.sagemaker import capture_files, capture_lines
    from driftline.store.loader.settings import LoaderSettings
    from driftline.store.redaction import require_none

    require_none("calls")
    files = capture_files(path)
    engine = open_store(base)
    identity = identify(model_uri)
    loading = ImportLoading(engine, identity, load_section(LoaderSettings, "loader"))
    names = signature_names(identity.signature)
    total = ImportReport()
    with progress_bar(sum(file.stat().st_size for file in files), "capture") as bar:
        before = 0
        for file in files:
            with capture_lines(file) as (lines, raw):
                for calls, unreadable in _batches(lines, names):
                    total += loading.load(calls, unreadable)
                    bar.update(before + raw.tell() - bar.pos)
            before += file.stat().st_size
    click.echo(
        f"{counted(total.received, 'call')} of {counted(len(files), 'file')}: {total.stored} stored "
        f"({counted(total.rows, 'row')}), {total.repeated} already there, {total.unreadable} unreadable"
    )
    if total.unreadable:
        click.echo("what is unreadable is kept in dead_letter with the reason: `driftline store status` counts it")


@imports.command("cloudevents")
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option(
    "--model", "model_uri", metavar="URI", help="What all services in it serve.  [default: models in [imports]]"
)
@base_options
def cloudevents(base: BaseSettings, file: IO[bytes], model_uri: str | None) -> None:
    """Load events that KServe's or Seldon's logger sent.

    FILE holds events in JSON, one a line or as a batch. A call is stored when both of its halves are there, whichever
    came first, once. What waits for its other half waits for the next file, or for what the monitor is sent.
    """
    from collections import Counter

    from driftline.scorer.model_source import identify
    from driftline.store.imports.fates import TAKEN
    from driftline.store.imports.pairing import settle
    from driftline.store.imports.settings import ImportSettings
    from driftline.store.imports.waiting import event_accounts, stage
    from driftline.store.loader.settings import LoaderSettings
    from driftline.store.redaction import require_none

    require_none("events")
    settings = load_section(ImportSettings, "imports")
    engine = open_store(base)
    fates: Counter[Fate] = Counter()
    taken: list[tuple[EventHalf, Served]] = []
    for entry in _entries(file, settings, model_uri, fates):
        taken.append(entry)
        if len(taken) >= _BATCH:
            fates += stage(engine, taken)
            taken = []
    fates += stage(engine, taken)
    before_us = time.time_ns() // 1000 - round(settings.wait_seconds * 1_000_000)
    report = settle(engine, identify, load_section(LoaderSettings, "loader"), before_us)
    fates += report.fates
    with engine.connect() as connection:
        waiting = event_accounts(connection).waiting
    said = ", ".join(f"{fates[fate]} {fate.value}" for fate in TAKEN if fates[fate])
    click.echo(f"events: {said or 'none stored'} ({counted(report.rows, 'row')}); {waiting} wait for their other half")
    if refused := {fate.value: number for fate, number in fates.items() if fate not in TAKEN}:
        click.echo("not taken: " + ", ".join(f"{number} {fate}" for fate, number in refused.items()))
    for uri, error in report.errors.items():
        raise click.ClickException(f"events of {uri} wait on: {error}")


def _entries(
    file: IO[bytes], settings: "ImportSettings", model_uri: str | None, fates: "Counter[Fate]"
) -> "Iterator[tuple[EventHalf, Served]]":
    """Yield the events of a file that are taken; count the others."""
    from driftline.store.imports.events import RefusedEvent, structured_half
    from driftline.store.imports.fates import Fate
    from driftline.store.imports.settings import Served

    for event in _events(file, fates):
        try:
            half = structured_half(event, time.time_ns() // 1000)
        except RefusedEvent as error:
            fates[error.fate] += 1
            continue
        if half is None:
            fates[Fate.OTHER] += 1
            continue
        served = Served(half.service, model_uri) if model_uri else settings.served(half)
        if served is None:
            fates[Fate.NO_MODEL] += 1
            continue
        yield half, served


def _events(file: IO[bytes], fates: "Counter[Fate]") -> Iterator[Any]:
    """Yield the documents of a file: its lines, or the members of its list."""
    from driftline.store.imports.events import RefusedEvent, document

    for line in file:
        if not line.strip():
            continue
        is_batch = line.lstrip().startswith(b"[")
        try:
            found = document(line + file.read() if is_batch else line)
        except RefusedEvent as error:
            fates[error.fate] += 1
            continue
        yield from found if is_batch else [found]


def _batches(lines: Iterator[bytes], names: tuple[str, ...]) -> "Iterator[tuple[list[ImportedCall], list[Unreadable]]]":
    from driftline.store.imports.call import UnreadableEvent
    from driftline.store.imports.loading import Unreadable
    from driftline.store.imports.sagemaker import captured_call

    calls: list[ImportedCall] = []
    unreadable: list[Unreadable] = []
    for line in lines:
        try:
            calls.append(captured_call(line, names))
        except UnreadableEvent as error:
            unreadable.append(Unreadable(line.rstrip(b"\r\n"), str(error)))
        if len(calls) + len(unreadable) >= _BATCH:
            yield calls, unreadable
            calls, unreadable = [], []
    yield calls, unreadable
