"""JSON, JSON lines and CSV say the same; what cannot be read harms nothing around it."""

import io
import tracemalloc
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from driftline.store.labels.formats import LARGEST_DOCUMENT, LONGEST_LINE, READERS, UnreadableLabels
from driftline.store.labels.record import Fate, Fields, Label, Refusal, read_record


def read(kind: str, raw: bytes) -> list[object]:
    return list(READERS[kind](io.BytesIO(raw), "label"))


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("json", b'[{"request_id": "a", "row": "1", "label": 1.5}, {"request_id": "b", "row": "", "label": true}]'),
        ("json", b'{"labels": [{"request_id": "a", "row": "1", "label": 1.5}, '
                 b'{"request_id": "b", "row": "", "label": true}]}'),
        ("jsonl", b'{"request_id": "a", "row": "1", "label": 1.5}\n\n{"request_id": "b", "row": "", "label": true}'),
        ("csv", b"\xef\xbb\xbfrequest_id, row,label\r\na,1,1.5\r\n\r\nb,,True\r\n"),
    ],
)  # fmt: skip
def test_all_forms_say_the_same(kind: str, raw: bytes) -> None:
    assert read(kind, raw) == [
        {"request_id": "a", "row": "1", "label": 1.5},
        {"request_id": "b", "row": "", "label": True},
    ]


def test_cells_of_csv_are_typed_by_what_they_look_like_in_the_labels_column_only() -> None:
    cells = ["7", "-7", "1e3", ".5", "false", "yes", '"a,b"', "", "9" * 30, "0x1"]
    found = read("csv", b"request_id,label\n" + "".join(f"007,{cell}\n" for cell in cells).encode())
    assert [record["label"] for record in found] == [  # type: ignore[index]
        7, -7, 1000.0, 0.5, False, "yes", "a,b", None, 1e30, "0x1"
    ]  # fmt: skip
    assert found[0]["request_id"] == "007"  # type: ignore[index]


def test_a_broken_line_is_told_as_it_was_and_the_next_one_is_read() -> None:
    assert read("jsonl", b'{"label": 1\n{"label": 2}\n\xff\n') == ['{"label": 1', {"label": 2}, "�"]
    found = read("csv", b'request_id,label\na,1,2\n"b,1\nc,\xff\nd,3\n')
    assert found == ["a,1,2", '"b,1', "c,�", {"request_id": "d", "label": 3}]


@pytest.mark.parametrize(
    ("kind", "raw", "said"),
    [
        ("json", b"[", "no JSON"), ("json", b" " * (LARGEST_DOCUMENT + 1), "send JSON lines"),
        ("csv", b"", "no column 'label'"), ("csv", b"request_id,truth\na,1\n", "no column 'label'"),
        ("csv", b"id,truth\na,1\n", "no column 'label' but id, truth: name the label's by --label-field"),
        ("csv", b"request_id;label\na;1\n", "no column 'label': its cells are separated by semicolons, write commas"),
        ("csv", b"person@example.org,7\n", "no column 'label': give it a header"),  # no header: its cells are not told
    ],
)  # fmt: skip
def test_what_is_unreadable_as_a_whole_says_what_to_send(kind: str, raw: bytes, said: str) -> None:
    with pytest.raises(UnreadableLabels, match=said):
        read(kind, raw)


def test_a_line_without_end_takes_no_memory() -> None:
    raw = io.BytesIO(b"x" * (40 * LONGEST_LINE) + b'\n{"label": 1}\n')
    tracemalloc.start()
    found = list(READERS["jsonl"](raw, "label"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[1:] == [{"label": 1}]
    assert str(found[0]).startswith("xxx")
    assert peak < 20 * LONGEST_LINE


def test_a_csv_may_give_seconds_as_times_and_rows_as_decimals_and_other_words_are_malformed() -> None:
    lines = ["request_id,row,label,event_time", "a,1.0,0,1790000000.5", "b,,1,1801121500", "c,1.5,0,", "d,nan,0,",
             "e,0,0,soon", "f,0,0,inf", "g,0,0,2026-01-01T00:00:00Z", "h,-1,0,"]  # fmt: skip
    records = [*read("csv", "\n".join(lines).encode()), {"request_id": "i", "label": 1, "event_time": date(2026, 1, 1)}]
    found = [read_record(record, Fields(), 1_802_000_000 * 10**6) for record in records]
    labels = {label.key: (label.row, label.event_at_us) for label in found if isinstance(label, Label)}
    assert labels == {
        "a": (1, 1_790_000_000_500_000), "b": (None, 1_801_121_500_000_000), "g": (0, 1_767_225_600_000_000),
        "i": (None, 1_767_225_600_000_000),
    }  # fmt: skip
    assert [each.fate for each in found if isinstance(each, Refusal)] == [Fate.MALFORMED] * 5


def test_keys_of_a_database_are_found_whatever_their_type() -> None:
    keys = [
        UUID(int=7),
        Decimal(12),
        Decimal("12.00"),
        12.0,
        Decimal("1.5"),
        Decimal("NaN"),
        Decimal("1E+400"),
        float("inf"),
        b"a",
        True,
    ]
    found = [read_record({"request_id": key, "label": 1}, Fields(), 10**15) for key in keys]
    assert [each.key for each in found if isinstance(each, Label)] == [str(UUID(int=7)), "12", "12", "12"]
    assert [each.fate for each in found if isinstance(each, Refusal)] == [Fate.MALFORMED] * 6
