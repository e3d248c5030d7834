"""Small files of a spool: whole or absent, and of a known format."""

from dataclasses import replace
from pathlib import Path

import pytest

from driftline.store.errors import SpoolError
from driftline.store.spool.layout import Meta, write_durably

META = Meta("uuid", "host", 1, 2, "00", "/ring", "/overflow")


def test_meta_is_read_as_it_was_written(tmp_path: Path) -> None:
    META.write(tmp_path)
    assert Meta.read(tmp_path) == META


def test_a_spool_of_another_format_is_refused(tmp_path: Path) -> None:
    replace(META, format=3).write(tmp_path)
    with pytest.raises(SpoolError, match="is a spool of format 3, this driftline reads 1 to 2: load it with"):
        Meta.read(tmp_path)


def test_a_damaged_salt_is_told_as_such(tmp_path: Path) -> None:
    replace(META, salt="0q").write(tmp_path)
    with pytest.raises(SpoolError, match="cannot be read"):
        Meta.read(tmp_path)


def test_a_spool_of_an_earlier_format_is_read(tmp_path: Path) -> None:
    replace(META, format=1).write(tmp_path)
    assert Meta.read(tmp_path).format == 1


def test_a_file_is_replaced_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"first")
    write_durably(tmp_path / "file", b"second")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"second")]


def test_only_the_owner_of_the_home_may_read_what_was_captured(open_spool) -> None:
    spool = open_spool()
    spool.append(0, b"x", 0)
    spool.close()
    files = [p for p in spool.folder.rglob("*") if p.is_file()]
    assert files
    assert {p.stat().st_mode & 0o777 for p in files} == {0o600}
