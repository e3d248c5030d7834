"""Nothing of a redacted value stays in an answer, and what repeats none stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.scorer.echoes import LEAST_ECHO, Echoes

TEXTS = st.text("ab1", min_size=LEAST_ECHO, max_size=7)


@pytest.mark.parametrize(
    ("texts", "value", "kept"),
    [
        (["planted"], "mail planted now", "mail *** now"),
        (["planted", "planted@x"], "planted@x, planted", "***, ***"),
        (["abcd12", "12efgh"], "<abcd12efgh>", "<***>"),
        (["abcd", "efgh"], "abcdefgh", "******"),
        (["planted"], {"planted": ["planted", "plante", ""]}, {"***": ["***", "plante", ""]}),
        (["1234", "true"], [1234, 1234.0, 12345, True, None], [None, None, 12345, True, None]),
        ([], ["planted", 1234], ["planted", 1234]),
    ],
)
def test_what_repeats_a_text_is_starred_and_nothing_else(texts: list[str], value: object, kept: object) -> None:
    assert Echoes(texts).without(value) == kept


@given(st.lists(TEXTS, max_size=5), st.text("ab1", max_size=30))
def test_no_text_stays_and_without_one_all_stays(texts: list[str], answer: str) -> None:
    kept = Echoes(texts).without(answer)
    assert not any(text in part for text in texts for part in kept.split("***"))
    assert kept == answer or any(text in answer for text in texts)


@pytest.mark.timeout(60)  # to look for each text in each value would take minutes
def test_many_values_are_searched_for_many_texts() -> None:
    texts = [f"person{i}@secret.example" for i in range(20_000)]
    kept = Echoes(texts).without({"score": [i / 7 for i in range(20_000)], "to": texts})
    assert set(kept["to"]) == {"***"}
    assert len(set(kept["score"])) == 20_000
