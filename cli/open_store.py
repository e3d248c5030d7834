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
    engine = closed_with_command(open_engine(base.store_url))
    migrate.check(engine)
    return engine


def closed_with_command(engine: Engine) -> Engine:
    """Return the engine, whose connections end when the command that runs does."""
    if context := click.get_current_context(silent=True):
        context.call_on_close(engine.dispose)
    return engine
