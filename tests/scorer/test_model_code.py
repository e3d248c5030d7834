"""Modules of the same name in several models."""

import gc
import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from driftline.scorer.model_code import forget_code, own_code

NAME = "driftline_test_weights"


def model(folder: Path, version: int) -> Path:
    """Make a model's folder with code in it, and put that where MLflow would."""
    path = folder / f"v{version}"
    (path / "code" / NAME).mkdir(parents=True)
    (path / "code" / NAME / "__init__.py").write_text(f"VERSION = {version}\n")
    (path / "code" / NAME / "inner.py").write_text(f"VERSION = {version}\n")
    return path


def load(path: Path) -> int:
    sys.path = [str(path / "code"), *sys.path]
    return int(importlib.import_module(f"{NAME}.inner").VERSION)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    search_path = list(sys.path)
    yield
    sys.path = search_path
    for name in [n for n in sys.modules if n.startswith(NAME)]:
        del sys.modules[name]


def test_each_version_imports_its_own_modules(tmp_path: Path) -> None:
    one, two = model(tmp_path, 1), model(tmp_path, 2)
    with own_code(one, ()):
        assert load(one) == 1
    with own_code(two, [one]):
        assert load(two) == 2
    assert importlib.import_module(NAME).VERSION == 2


def test_what_is_imported_meanwhile_by_another_thread_disturbs_no_load(tmp_path: Path) -> None:
    one, two = model(tmp_path, 1), model(tmp_path, 2)
    with own_code(one, ()):
        load(one)
    imports = itertools.count()
    before = gc.get_threshold()

    def another_thread_imports(phase: str, info: object) -> None:
        sys.modules[f"{NAME}_{next(imports)}"] = ModuleType(NAME)

    # A collection may begin wherever an object is made, and its finalizers give other threads their turn.
    gc.callbacks.append(another_thread_imports)
    gc.collect()  # empties the free lists too: every object is made anew
    gc.set_threshold(1)
    try:
        with own_code(two, [one]):
            pass
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(another_thread_imports)
    assert next(imports) > 0


def test_a_load_that_fails_leaves_the_modules_of_what_serves(tmp_path: Path) -> None:
    one, two = model(tmp_path, 1), model(tmp_path, 2)
    with own_code(one, ()):
        load(one)
    before, served = list(sys.path), sys.modules[NAME]
    (two / "code" / NAME / "inner.py").write_text("raise RuntimeError('torn')\n")
    with pytest.raises(RuntimeError, match="torn"), own_code(two, [one]):
        load(two)
    assert sys.path == before
    assert sys.modules[NAME] is served
    assert sys.modules[f"{NAME}.inner"].VERSION == 1


def test_modules_that_the_new_version_does_not_have_stay_for_the_old(tmp_path: Path) -> None:
    one, two = model(tmp_path, 1), tmp_path / "v2"
    two.mkdir()
    with own_code(one, ()):
        load(one)
    with own_code(two, [one]):
        pass
    assert importlib.import_module(NAME).VERSION == 1


def test_a_version_that_went_leaves_no_module_and_no_path(tmp_path: Path) -> None:
    one = model(tmp_path, 1)
    with own_code(one, ()):
        load(one)
    forget_code(one)
    assert not [name for name in sys.modules if name.startswith(NAME)]
    assert not [entry for entry in sys.path if entry.startswith(str(one))]
