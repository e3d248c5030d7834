"""What the commands of ``driftline store`` work with: an engine on a store that is there and ready."""

import click
from sqlalchemy import Engine

from driftline.store import migrate
from driftline.store.engine import open_engine, require_file
from driftline.store.settings import BaseSettings


def open_store(base: BaseSettings) -> Engine:
    """Open the store that the settings name; one that is not there is not made.

    Raises:
        ConfigurationError, StoreUnreachable, SchemaMismatch: each names the next command.
    """
    require_file(base.store_url)
    engine = open_for_command(base.store_url)
    migrate.check(engine)
    return engine


def open_for_command(url: str) -> Engine:
    """Return an engine for the store's URL, whose connections end when the command that runs does.

    Raises:
        ConfigurationError, StoreUnreachable: as ``open_engine``.
    """
    engine = open_engine(url)
    if context := click.get_current_context(silent=True):
        context.call_on_close(engine.dispose)
    return engine
