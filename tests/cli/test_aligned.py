"""Tables in a terminal: columns stand under each other, and nothing is cut off."""

from driftline.cli.aligned import aligned


def test_columns_stand_under_each_other_and_the_last_is_as_long_as_it_is() -> None:
    rows = [("column", "score", "verdict"), ("a", "0.1", "drift: its mean rose"), ("longer_name", "12.25", "")]
    assert aligned(rows, left=1) == [
        "column       score  verdict",
        "a              0.1  drift: its mean rose",
        "longer_name  12.25",
    ]


def test_what_follows_a_line_stands_below_it() -> None:
    assert aligned([("a", "b"), ("1", "2")], 0, ["", "\n    also 3"]) == ["a  b", "1  2\n    also 3"]
