import subprocess
import sys

import psycopg
import pytest
import servers

from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError


def test_the_object_mapper_is_whole_before_threads_use_a_store() -> None:
    """A comparison with an enum fails in a thread where another thread is just importing SQLAlchemy's object mapper."""
    script = "import sys, driftline.store.engine\nprint('sqlalchemy.orm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.postgresql
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_text_is_refused_with_the_command_that_makes_another(
    postgresql_server: servers.PostgreSQL, encoding: str
) -> None:
    plain = postgresql_server.url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE in_{encoding} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    with pytest.raises(ConfigurationError, match=f"as {encoding}, .*--encoding=UTF8"):
        open_engine(postgresql_server.url.replace("/postgres", f"/in_{encoding.lower()}"))
