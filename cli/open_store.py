"""What the commands of ``driftline store`` work with: settings, and an engine on a store that is ready."""

from sqlalchemy import Engine

from driftline.store import migrate
from driftline.store.engine import open_engine
from driftline.store.settings import BaseSettings, load_base


def open_store() -> tuple[BaseSettings, Engine]:
    """Read the settings and open the store.

    Raises:
        ConfigurationError, StoreUnreachable, SchemaMismatch: each names the next command.
    """
    base = load_base()
    engine = open_engine(base.store_url)
    migrate.check(engine)
    return base, engine
