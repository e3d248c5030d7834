"""What the commands of ``driftline store`` work with: an engine on a store that is there and ready."""

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
    engine = open_engine(base.store_url)
    migrate.check(engine)
    return engine
