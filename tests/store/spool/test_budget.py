"""What the spools of a home may take of the disk."""

from pathlib import Path

from driftline.store.spool.budget import Budget, bytes_on_disk
from driftline.store.spool.settings import SpoolSettings


def add_segment(home: Path, spool: str, size: int) -> None:
    (home / spool).mkdir(exist_ok=True)
    (home / spool / f"{len(list((home / spool).iterdir())):010d}.seg").write_bytes(bytes(size))


def test_segments_of_all_spools_count_and_other_files_do_not(tmp_path: Path) -> None:
    add_segment(tmp_path, "a", 100)
    add_segment(tmp_path, "a", 50)
    add_segment(tmp_path, "b", 7)
    (tmp_path / "b" / "META.json").write_bytes(bytes(1000))
    assert bytes_on_disk(tmp_path) == 157


def test_what_was_granted_counts_before_the_disk_is_looked_at_again(tmp_path: Path) -> None:
    add_segment(tmp_path, "a", 100)
    budget = Budget(tmp_path, SpoolSettings(max_bytes=200, min_free_bytes=0))
    assert budget.refusal(60) is None
    assert budget.refusal(60) == "disk_budget"
    assert budget.refusal(40) is None
    assert budget.refusal(1) == "disk_budget"


def test_below_the_free_bytes_of_the_disk_nothing_is_granted(tmp_path: Path) -> None:
    budget = Budget(tmp_path, SpoolSettings(min_free_bytes=1 << 60))
    assert budget.refusal(1) == "disk_full"
