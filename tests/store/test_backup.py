"""A copy of the store while it is written to, and what comes of a store that was put back to it."""

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import store_traffic as traffic
from click.testing import CliRunner
from sqlalchemy import Engine

from driftline.cli.main import root
from driftline.store import migrate
from driftline.store.accounts import accounts
from driftline.store.backup import backup
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.records import Invocation
from driftline.store.spool.spool import Spool
from driftline.store.verify import verify


class Scorer:
    """A living spool and its loader; segments are small, so that loaded ones are removed."""

    def __init__(self, home: Path, store: Path) -> None:
        self.folder = home / "spool"
        self.folder.mkdir()
        self.store = store
        self.engine = open_engine(f"sqlite:///{store}")
        migrate.upgrade(self.engine)
        self.spool = Spool.open(self.folder, replace(traffic.SETTINGS, segment_bytes=4096))
        self.model = self.spool.declare_model(traffic.CLF)

    def answer(self, invocations: list[Invocation]) -> None:
        for one in invocations:
            self.spool.append(self.model, one.pack(), one.received_at_us)
            time.sleep(0.005)

    def load(self) -> None:
        time.sleep(0.1)  # the writer's turn
        Loader(self.engine, self.folder, LoaderSettings()).load_once()

    def restore(self, copy: Path) -> None:
        """Put the copy in the store's place, as the docs say."""
        self.engine.dispose()
        for file in self.store.parent.glob(f"{self.store.name}*"):
            file.unlink()
        shutil.copy(copy, self.store)

    def agrees(self) -> bool:
        return all(check.agrees for check in verify(self.engine))


@pytest.fixture
def scorer(tmp_path: Path) -> Scorer:
    return Scorer(tmp_path, tmp_path / "driftline.sqlite")


def test_a_copy_that_is_made_while_rows_are_loaded_is_the_store_at_one_moment(scorer: Scorer, tmp_path: Path) -> None:
    done = threading.Event()
    sent = list(traffic.clf_traffic(800))

    def serve() -> None:
        for start in range(0, len(sent), 50):
            for one in sent[start : start + 50]:
                scorer.spool.append(scorer.model, one.pack(), one.received_at_us)
            scorer.load()
        done.set()

    server = threading.Thread(target=serve)
    server.start()
    copies = []
    while not done.is_set():
        copies.append(tmp_path / f"copy-{len(copies)}.sqlite")
        backup(scorer.engine, copies[-1])
    server.join()
    scorer.spool.close()
    sizes = []
    for copy in copies:
        engine = open_engine(f"sqlite:///{copy}")
        assert all(check.agrees for check in verify(engine))
        sizes.append(accounts(engine, tmp_path / "nowhere").stored)
        engine.dispose()
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 1
    assert not list(tmp_path.glob("*.part*"))


def test_after_a_restore_what_the_spool_still_has_is_loaded_again_and_what_it_has_not_is_counted_as_lost(
    scorer: Scorer, tmp_path: Path
) -> None:
    sent = list(traffic.clf_traffic(45))
    scorer.answer(sent[:20])
    scorer.load()
    backup(scorer.engine, tmp_path / "copy")
    scorer.answer(sent[20:40])
    scorer.load()
    scorer.restore(tmp_path / "copy")
    scorer.answer(sent[40:])
    scorer.load()
    found = accounts(scorer.engine, scorer.folder)
    assert found.balanced
    assert found.answered == 45
    assert found.stored + found.dropped["damaged"] == 45
    assert found.stored >= 25
    assert scorer.agrees()
    scorer.spool.close()


def test_a_file_that_is_there_is_not_overwritten_and_postgresql_has_pg_dump(scorer: Scorer, tmp_path: Path) -> None:
    base = ["store", "backup", str(tmp_path / "copy"), "--home", str(tmp_path)]
    first = CliRunner().invoke(root, base)
    assert first.exit_code == 0, first.output
    content = (tmp_path / "copy").read_bytes()
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    again = CliRunner().invoke(root, base)
    assert isinstance(again.exception, ConfigurationError)
    assert (tmp_path / "copy").read_bytes() == content
    scorer.spool.close()


@pytest.mark.postgresql
def test_for_postgresql_the_command_to_type_is_told_without_its_password(postgresql_url: str, tmp_path: Path) -> None:
    engine: Engine = open_engine(postgresql_url.replace("driftline@", "driftline:secret@"))
    with pytest.raises(ConfigurationError, match="pg_dump --format=custom") as refused:
        backup(engine, tmp_path / "copy")
    assert "secret" not in str(refused.value)
    engine.dispose()
