"""JSON, JSON lines and CSV say the same; what cannot be read harms nothing around it."""

import io
import tracemalloc

import pytest

from driftline.store.labels.formats import LARGEST_DOCUMENT, LONGEST_LINE, READERS, UnreadableLabels


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
