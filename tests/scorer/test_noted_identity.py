"""A copied model is called what the note beside it says."""

from pathlib import Path

import pytest

from driftline.scorer.noted_identity import note_identity, with_noted
from driftline.store.errors import ModelNotFound
from driftline.store.records import ModelIdentity


def test_the_note_counts_for_name_and_version_and_for_nothing_else(tmp_path: Path) -> None:
    found = ModelIdentity("model", "m-1", "/opt/ml/model", run_id="r", model_id="m-1")
    assert with_noted(found, tmp_path) == found
    note_identity(tmp_path, ModelIdentity("churn", "3", "models:/churn/3"))
    assert with_noted(found, tmp_path) == ModelIdentity("churn", "3", "/opt/ml/model", run_id="r", model_id="m-1")


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"name": "churn"}'])
def test_a_damaged_note_is_one_line(tmp_path: Path, damaged: str) -> None:
    found = ModelIdentity("model", "m-1", "/opt/ml/model")
    note_identity(tmp_path, found)
    (note,) = tmp_path.iterdir()
    note.write_text(damaged)
    with pytest.raises(ModelNotFound, match="does not tell name and version"):
        with_noted(found, tmp_path)
