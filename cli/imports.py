"""``driftline import``: calls that another system captured, so that endpoints that stay can be judged."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftline.cli.base_options import base_options
from driftline.cli.open_store import open_store
from driftline.cli.progress import counted, progress_bar
from driftline.store.settings import BaseSettings, load_section

if TYPE_CHECKING:
    from driftline.store.imports.call import ImportedCall
    from driftline.store.imports.loading import Unreadable

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
