"""What is exported: everything that is shipped, again and again, and nothing that was changed by hand is lost."""

import json
from pathlib import Path

import pytest

from driftline.cli.assets.export import MANIFEST, export, shipped_files
from driftline.store.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
FIRST = {"rules/a.yml": "a\n", "b.yml": "b\n"}


def test_every_rule_route_template_and_dashboard_of_the_rooms_comes_along() -> None:
    found = {Path(path).name for path in shipped_files()}
    expected = {
        *(path.name for path in (ROOT / "alerts").glob("*.rules.yml")),
        *(path.name for path in (ROOT / "alerts").glob("*.tmpl")),
        *(path.name for path in (ROOT / "dashboards").glob("*.json")),
        "alertmanager.yml",
        "prometheus.yml",
    }
    assert len(expected) > 8
    assert expected <= found


def test_the_same_export_again_writes_nothing(tmp_path: Path) -> None:
    assert export(tmp_path, FIRST).written == ["b.yml", "rules/a.yml"]
    again = export(tmp_path, FIRST)
    assert (again.written, again.unchanged) == ([], ["b.yml", "rules/a.yml"])


def test_a_new_version_replaces_what_was_left_alone_and_removes_what_is_not_shipped_any_more(tmp_path: Path) -> None:
    export(tmp_path, FIRST)
    done = export(tmp_path, {"b.yml": "new\n"})
    assert (done.written, done.removed) == (["b.yml"], ["rules/a.yml"])
    assert (tmp_path / "b.yml").read_text() == "new\n"
    assert not (tmp_path / "rules" / "a.yml").exists()


def test_a_file_changed_by_hand_stops_the_export_before_anything_is_written(tmp_path: Path) -> None:
    export(tmp_path, FIRST)
    (tmp_path / "b.yml").write_text("mine\n")
    with pytest.raises(ConfigurationError, match=r"changed by hand.*b\.yml.*--force"):
        export(tmp_path, {"rules/a.yml": "new\n", "b.yml": "new\n"})
    assert (tmp_path / "rules" / "a.yml").read_text() == "a\n"
    assert (tmp_path / "b.yml").read_text() == "mine\n"
    export(tmp_path, {"rules/a.yml": "new\n", "b.yml": "new\n"}, force=True)
    assert (tmp_path / "b.yml").read_text() == "new\n"


def test_a_file_that_lay_there_before_counts_as_the_users(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("mine\n")
    with pytest.raises(ConfigurationError, match=r"b\.yml"):
        export(tmp_path, FIRST)
    (tmp_path / "b.yml").write_text(FIRST["b.yml"])
    assert export(tmp_path, FIRST).unchanged == ["b.yml"]


def test_a_changed_file_that_is_not_shipped_any_more_stays(tmp_path: Path) -> None:
    export(tmp_path, FIRST)
    (tmp_path / "b.yml").write_text("mine\n")
    assert export(tmp_path, {"rules/a.yml": "a\n"}, force=True).removed == []
    assert (tmp_path / "b.yml").read_text() == "mine\n"


def test_a_file_deleted_by_hand_comes_back(tmp_path: Path) -> None:
    export(tmp_path, FIRST)
    (tmp_path / "b.yml").unlink()
    assert export(tmp_path, FIRST).written == ["b.yml"]


def test_a_damaged_note_means_that_everything_different_is_the_users(tmp_path: Path) -> None:
    export(tmp_path, FIRST)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ConfigurationError, match=r"b\.yml"):
        export(tmp_path, {**FIRST, "b.yml": "new\n"})
    assert export(tmp_path, FIRST).written == []
    assert set(json.loads((tmp_path / MANIFEST).read_text())) == set(FIRST)


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot write to"):
        export(tmp_path / "file", FIRST)
