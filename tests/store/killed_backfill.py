"""Backfill a version and die at the Nth hour: `python killed_backfill.py URL VERSION_ID N [DIR]`."""

import os
import signal
import sys
from pathlib import Path

from driftline.store.backfill import StoredRows, backfill
from driftline.store.engine import open_engine
from driftline.store.export.parquet_rows import ParquetRows
from driftline.store.retention.settings import RetentionSettings


def main() -> None:
    left = int(sys.argv[3])

    def die_in_time(hours: int) -> None:
        nonlocal left
        left -= hours
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    source = ParquetRows(Path(sys.argv[4])) if sys.argv[4:] else StoredRows()
    settings = RetentionSettings(keep_minute_profile_hours=0, keep_hour_profile_days=0)
    backfill(open_engine(sys.argv[1]), int(sys.argv[2]), source, settings, die_in_time)


main()
