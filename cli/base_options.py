"""The options ``--home`` and ``--store``, which every command has that works on a home or a store."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from driftline.store.settings import load_base


def base_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--home`` and ``--store``; the command gets what they, the variables and the file say as ``base``."""

    @click.option(
        "--home",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Spool, SQLite store and reports. [env var: DRIFTLINE_HOME; default: ./driftline-data]",
    )
    @click.option(
        "--store",
        metavar="URL",
        help="SQLAlchemy URL of the store. [env var: DRIFTLINE_STORE; default: SQLite in the home]",
    )
    @functools.wraps(command)
    def with_base(*arguments: Any, home: Path | None, store: str | None, **options: Any) -> Any:
        return command(*arguments, base=load_base({"home": home, "store": store}), **options)

    return with_base
