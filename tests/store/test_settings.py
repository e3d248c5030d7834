from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from driftline.store.errors import ConfigurationError
from driftline.store.settings import load_base, load_section


@dataclass(frozen=True, slots=True)
class Example:
    mode: Literal["process", "power"] = "process"
    ring_bytes: int = 16
    folder: Path | None = None
    enabled: bool = False
    seconds: float = 1.0


def write(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "driftline.toml").write_text(text)
    return {"DRIFTLINE_CONFIG": str(tmp_path / "driftline.toml")}


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path: Path) -> None:
    environ = write(tmp_path, "[spool]\nring_bytes = 1\nseconds = 2\nenabled = true\n")
    environ |= {"DRIFTLINE_SPOOL_RING_BYTES": "3", "DRIFTLINE_SPOOL_SECONDS": "4"}
    settings = load_section(Example, "spool", {"ring_bytes": 5, "seconds": None}, environ)
    assert settings == Example(ring_bytes=5, seconds=4.0, enabled=True)


def test_the_top_level_names_home_and_store(tmp_path: Path) -> None:
    environ = write(tmp_path, 'home = "here"\nstore = "postgresql://u:secret@h/d"\n[spool]\nring_bytes = 1\n')
    base = load_base(environ=environ)
    assert base.home == Path("here")
    assert base.store_url == "postgresql://u:secret@h/d"
    assert "secret" not in repr(base)


def test_the_default_store_is_sqlite_in_the_home() -> None:
    base = load_base({"home": "/somewhere"}, {})
    assert base.store_url == "sqlite:////somewhere/driftline.sqlite"
    assert base.spool_folder == Path("/somewhere/spool")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[spool]\nring_byte = 1\n", "unknown setting `ring_byte`.*did you mean `ring_bytes`"),
        ("[spool]\nring_bytes = 'many'\n", "ring_bytes in .* should be a whole number, found 'many'"),
        ("[spool]\nring_bytes = 1.5\n", "should be a whole number"),
        ("[spool]\nseconds = nan\n", "should be a number, found nan"),
        ("[spool]\nseconds = 'inf'\n", "should be a number, found 'inf'"),
        ("[spool]\nmode = 'disk'\n", "should be 'process' or 'power', found 'disk'"),
        ("[spool]\nenabled = 'perhaps'\n", "should be true or false"),
        ("spool = 3\n", r"write `\[spool\]`"),
        ("[spool\n", "cannot be read"),
    ],
)
def test_a_bad_file_stops_the_start_and_names_the_mistake(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_section(Example, "spool", environ=write(tmp_path, text))


def test_an_unknown_top_level_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean `home`"):
        load_base(environ=write(tmp_path, "hom = 'x'\n"))


def test_an_unknown_variable_is_refused_and_one_of_another_section_is_not() -> None:
    assert load_base(environ={"DRIFTLINE_SPOOL_RING_BYTES": "1"})
    with pytest.raises(ConfigurationError, match="did you mean `DRIFTLINE_STORE`"):
        load_base(environ={"DRIFTLINE_STOR": "1"})
    with pytest.raises(ConfigurationError, match="did you mean `DRIFTLINE_SPOOL_RING_BYTES`"):
        load_section(Example, "spool", environ={"DRIFTLINE_SPOOL_RINGBYTES": "1"})


def test_a_named_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="is no file"):
        load_base(environ={"DRIFTLINE_CONFIG": "/nowhere.toml"})
