"""Labels from files and databases, as records: what the command line reads besides what the web door takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, StatementError

from driftline.store.failures import cause
from driftline.store.labels.formats import READERS, Records, UnreadableLabels

_CHUNK_ROWS = 5_000
_SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}


class Source(NamedTuple):
    """Records; ``length`` in the unit that ``position`` tells how far the reading has come, 0 where it is not known."""

    records: Records
    length: int
    position: Any


@contextmanager
def open_file(path: Path, label: str) -> Iterator[Source]:
    """Open a file whose name says what it is: .csv, .parquet, .jsonl, .ndjson or .json.

    Raises:
        UnreadableLabels: no such file, another name, or not what its name says.
    """
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise UnreadableLabels(f"{path} should end in {', '.join(_SUFFIXES)}: its name says how to read it")
    try:
        file = path.open("rb")
    except OSError as error:
        raise UnreadableLabels(f"{path} cannot be read ({error.strerror}): correct its name or its owner") from error
    with file:
        if kind == "parquet":
            yield _parquet(file, path)
        else:
            yield Source(READERS[kind](file, label), path.stat().st_size, file.tell)


def _parquet(file: IO[bytes], path: Path) -> Source:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        opened = parquet.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableLabels(f"{path} is no Parquet file: correct its name") from error
    done = 0

    def records() -> Records:
        nonlocal done
        batches = opened.iter_batches(_CHUNK_ROWS)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise UnreadableLabels(
                    f"{path} is damaged after {done:,} rows: write it again; labels that are in the store stay"
                ) from error
            if batch is None:
                return
            for record in batch.to_pylist():
                done += 1
                yield record

    return Source(records(), opened.metadata.num_rows, lambda: done)


@contextmanager
def open_query(url: str, query: str) -> Iterator[Source]:
    """Run a query on a database that SQLAlchemy has a driver for; rows are fetched as they are read.

    Raises:
        UnreadableLabels: the URL is malformed, its driver is missing, or the database refuses.
    """
    try:
        parsed = make_url(url)
        engine = create_engine(parsed)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise UnreadableLabels(
            "the URL of the labels' database is malformed or its driver is not installed: write "
            "`postgresql+psycopg://user@host/database`, `sqlite:////path` or another that SQLAlchemy has a driver for"
        ) from error
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise UnreadableLabels(f"there is no SQLite file {parsed.database}: correct the URL of the labels' database")
    try:
        with _told_refusals():
            connection = engine.connect().execution_options(yield_per=_CHUNK_ROWS)
        with connection:
            with _told_refusals():
                rows = int(connection.scalar(text(f"SELECT count(*) FROM ({query}) AS labels")) or 0)  # noqa: S608 - theirs
            done = 0

            def records() -> Records:
                nonlocal done
                with _told_refusals():
                    for row in connection.execute(text(query)).mappings():
                        done += 1
                        yield dict(row)

            yield Source(records(), rows, lambda: done)
    finally:
        engine.dispose()


@contextmanager
def _told_refusals() -> Iterator[None]:
    try:
        yield
    except StatementError as error:  # the driver's own errors, and a `:name` in the query that nobody gives
        raise UnreadableLabels(f"the labels' database refuses ({cause(error)}): correct the URL or --query") from error
