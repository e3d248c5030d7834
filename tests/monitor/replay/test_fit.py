"""Which captured rows a version can be asked about."""

from typing import Any

import pytest
from store_traffic import signature

from driftline.monitor.replay.fit import CannotReplay, fit
from driftline.store.prediction_columns import prediction_columns
from driftline.store.records import ModelIdentity
from driftline.store.redaction import Redaction

AGE, PLAN = {"name": "age", "type": "double", "required": True}, {"name": "plan", "type": "string", "required": True}


def asked(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]] | None = None) -> ModelIdentity:
    return ModelIdentity("clf", "2", "models:/clf/2", signature=signature(inputs, outputs))


COLUMNS = prediction_columns(signature([AGE, PLAN]))


def test_a_required_input_that_no_request_has_is_refused_with_the_next_step() -> None:
    with pytest.raises(CannotReplay, match=r"do not have city, which clf/2 requires: .*required=False") as told:
        fit(COLUMNS, "clf/1", asked([AGE, PLAN, {"name": "city", "type": "string", "required": True}]))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("method", ["drop", "hash", "mask"])
def test_a_redacted_input_is_refused_where_it_is_required_and_else_left_out(method: str) -> None:
    redaction = Redaction({"plan": method}, b"0123456789abcdef")
    columns = prediction_columns(redaction.identity(asked([AGE, PLAN])).signature)
    with pytest.raises(CannotReplay, match=r"^clf/2 requires plan, whose values \[redaction\] keeps .*required=False"):
        fit(columns, "clf/1", asked([AGE, PLAN]), redaction)
    found = fit(columns, "clf/1", asked([AGE, {**PLAN, "required": False}]), redaction)
    assert found.notes == ("clf/2 answers without plan, whose values [redaction] keeps out of the store",)
    assert [c.name for c in found.inputs] == ["age"]
    assert fit(columns, "clf/1", asked([AGE]), redaction).notes == ()


def test_optional_inputs_inputs_left_out_and_other_types_are_told() -> None:
    found = fit(
        COLUMNS, "clf/1",
        asked([{**AGE, "type": "long"}, {"name": "city", "type": "string", "required": False}]),
    )  # fmt: skip
    assert found.notes == (
        "no captured row has city, which clf/2 may have: it answers without",
        "clf/2 does not take plan, which the requests have",
        "age is long for clf/2 and double for clf/1",
    )


def test_outputs_meet_by_name_else_by_place_and_else_not() -> None:
    score, rank = {"name": "score", "type": "double"}, {"name": "rank", "type": "long"}
    columns = prediction_columns(signature([AGE], [score, rank]))
    named = fit(columns, "clf/1", asked([AGE], [rank, {"name": "why", "type": "string"}]))
    assert [(a.name, b.name) for a, b in named.pairs] == [("rank", "rank")]
    assert named.notes == ("only one of the versions answers score, why, which is not compared",)
    placed = fit(COLUMNS, "clf/1", asked([AGE, PLAN], [{"name": "class", "type": "long"}]))
    assert [(a.name, b.name) for a, b in placed.pairs] == [("prediction", "class")]
    with pytest.raises(CannotReplay, match="nothing to compare"):
        fit(columns, "clf/1", asked([AGE], [{"name": "other", "type": "double"}]))


def test_without_names_the_number_of_inputs_decides() -> None:
    bare = [{"type": "double"}, {"type": "double"}, {"type": "double"}]
    assert fit(COLUMNS, "clf/1", asked(bare[:2])).notes == ()
    with pytest.raises(CannotReplay, match="takes 3 inputs, clf/1 was asked with 2"):
        fit(COLUMNS, "clf/1", asked(bare))
