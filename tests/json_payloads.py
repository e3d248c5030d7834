"""Bodies for a model with named scalar columns, as text: ordinary ones, and ones with something odd in them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

ODD_LITERALS = [
    "null", "true", "false", "NaN", "Infinity", "-Infinity", "-0", "-0.0", "0", "1", "1.0", "5e-324", "1e-400", "1E5",
    "2.2250738585072011e-308", "1e308", "1e999", "9007199254740993", "-9007199254740993.0", "2147483647", "2147483648",
    "-2147483649", "9223372036854775807", "9223372036854775808", "18446744073709551616", "-9223372036854775809",
    "12345678901234567890123456789", "1" + "0" * 400, "3.4028236e38", "16777217", "0.1e-7", '""', '"x"', '"1.5"',
    '"nan"', '"\\ud800"', '"\\u0000"', '"a\\u0000"', '"\\u00e4\u2603"', '"2024-01-01"', "[]", "[1]", "[1, 2]", "{}",
    '{"a": 1}', "[[1]]",
]  # fmt: skip
_ORDINARY: dict[str, st.SearchStrategy[Any]] = {
    "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1) | st.none(),
    "float": st.floats(-(2.0**53), 2.0**53) | st.integers(-(2**53), 2**53) | st.none(),
    "long": st.integers(-(2**63), 2**63 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(),
    "string": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
}
FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_ODD_EXTRA_KEYS = ('"signature_name": "x"', '"messages": []', '"prompt": 1', '"input": [1]', '"params": {}',
                   '"params": null', '"params": {"n": 3}', '"params": {"n": "x"}', '"params": [1]',
                   '"params": {"n": 12345678901234567890}', '"inputs": []', '"other": {"a": [1]}')  # fmt: skip


@st.composite
def ordinary_body(draw: st.DrawFn, columns: Mapping[str, str]) -> bytes:
    """A request that any client would send: every cell of its type, columns in any order."""
    names = draw(st.permutations(list(columns)))
    rows = draw(st.integers(1, 4))
    cells = {name: [_cell(draw, columns[name]) for _ in range(rows)] for name in names}
    form = draw(st.sampled_from(FORMS))
    labels = draw(st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=rows, max_size=rows))
    text = _document(draw, form, names, cells, rows, labels and json.dumps(labels))
    return draw(st.sampled_from(["%s", " %s\n", "\t%s "])).replace("%s", text).encode()


@st.composite
def odd_body(draw: st.DrawFn, columns: Mapping[str, str]) -> bytes:
    """A request with a few oddities in cells, columns, keys, labels or encoding."""
    names = draw(st.permutations(list(columns)))
    if draw(_seldom):
        names = names[:-1] or names
    if draw(_seldom):
        names = [*names, draw(st.sampled_from(["extra", "", "x\u2603", names[0]]))]
    rows = draw(st.integers(0, 4))
    cells = {name: [_odd_cell(draw, columns.get(name, "double")) for _ in range(rows)] for name in names}
    if cells and draw(_seldom):
        cells[names[0]] = cells[names[0]][:-1]
    labels = draw(st.none() | st.sampled_from(["null", "[]", "[0]", "[1, 0]", '["a", "b"]', "[1, 1]", "[1.5, 2]", "7"]))
    form = draw(st.sampled_from(FORMS))
    text = _document(draw, form, names, cells, rows, labels)
    if draw(_seldom):
        extra = draw(st.sampled_from(_ODD_EXTRA_KEYS))
        text = f"{{{extra}, {text[1:]}" if draw(st.booleans()) else f"{text[:-1]}, {extra}}}"
    if draw(_seldom):
        text = draw(st.sampled_from([text[:-1], text[1:], f"[{text}]", text.replace('"', "'", 1), text * 2, "{}", ""]))
    encoding = draw(st.sampled_from(["utf-8"] * 9 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"]))
    return text.encode(encoding, "surrogatepass")


_seldom = st.sampled_from([False] * 9 + [True])


def _cell(draw: st.DrawFn, type_: str) -> str:
    value = draw(_ORDINARY[type_.rstrip("?")])
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


def _odd_cell(draw: st.DrawFn, type_: str) -> str:
    return draw(st.sampled_from(ODD_LITERALS)) if draw(_seldom) else _cell(draw, type_)


def _document(
    draw: st.DrawFn, form: str, names: Sequence[str], cells: Mapping[str, list[str]], rows: int, labels: str | None
) -> str:
    """Lay cells out; a column that is shorter makes ragged rows."""
    if form == "dataframe_split":
        data = _list(_list(cells[n][i] for n in names if i < len(cells[n])) for i in range(rows))
        parts = {"columns": _list(map(json.dumps, names)), "data": data}
        if labels is not None:
            parts["index"] = labels
        value = _object(parts)
    elif form in ("inputs", "instances") and draw(st.booleans()):
        one = rows == 1 and draw(st.booleans()) and all(cells.values())
        value = _object({n: column[0] if one else _list(column) for n, column in cells.items()})
    else:
        value = _list(_object({n: cells[n][i] for n in names if i < len(cells[n])}) for i in range(rows))
    return _object({form: value})


def _list(items: Any) -> str:
    return f"[{', '.join(items)}]"


def _object(items: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in items.items()) + "}"
