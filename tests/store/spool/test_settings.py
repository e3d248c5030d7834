"""The section [spool]."""

from pathlib import Path

import pytest

from driftline.store.errors import ConfigurationError
from driftline.store.settings import load_section
from driftline.store.spool.settings import SpoolSettings


def test_every_setting_is_read_from_the_environment() -> None:
    environ = {"DRIFTLINE_SPOOL_RING_BYTES": "1048576", "DRIFTLINE_SPOOL_DURABILITY": "power",
               "DRIFTLINE_SPOOL_RING_FOLDER": "/ring", "DRIFTLINE_SPOOL_SEGMENT_SECONDS": "1.5"}  # fmt: skip
    settings = load_section(SpoolSettings, "spool", environ=environ)
    assert (settings.ring_bytes, settings.durability, settings.segment_seconds) == (1 << 20, "power", 1.5)
    assert settings.memory_folder == Path("/ring")


def test_rings_lie_in_shared_memory_by_default() -> None:
    assert SpoolSettings().memory_folder == Path("/dev/shm")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ring_bytes": 4096}, "spool.ring_bytes should be at least 65536, found 4096"),
        ({"overflow_bytes": -1}, "spool.overflow_bytes should not be negative, found -1"),
        ({"sync_interval_seconds": 0}, "spool.sync_interval_seconds should be above 0, found 0"),
    ],
)
def test_a_setting_out_of_range_says_what_was_expected(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SpoolSettings(**changes)  # type: ignore[arg-type]
