"""Code that travels with models: each version gets its own, although Python keeps one module per name.

MLflow puts the code folder of a model on ``sys.path`` and leaves the modules it imports where every later import of the
same name finds them, those of the next version too. That one would run the old version's code on its own weights.

Invariants
----------
- A version that is loaded beside others imports its own modules, also where theirs have the same names.
- A load that fails leaves ``sys.path`` and ``sys.modules`` as they were.

What a model imports only while it predicts is found under the name that was loaded last.
"""

import importlib
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def own_code(path: Path, beside: Collection[Path]) -> Iterator[None]:
    """Load the model in the folder ``path`` within, while those in the folders ``beside`` are served."""
    hidden = {name: module for other in beside for name, module in _modules_below(other).items()}
    search_path = list(sys.path)
    for name in hidden:
        del sys.modules[name]
    importlib.invalidate_caches()
    try:
        yield
    except BaseException:
        sys.path[:] = search_path
        for name in _modules_below(path):
            del sys.modules[name]
        sys.modules.update(hidden)
        raise
    for name, module in hidden.items():
        sys.modules.setdefault(name, module)


def forget_code(path: Path) -> None:
    """Let go of what the model in the folder ``path`` brought, once nothing of it is served."""
    for name in _modules_below(path):
        del sys.modules[name]
    sys.path[:] = [entry for entry in sys.path if not _is_below(entry, path)]
    _forget_definition()


def _modules_below(path: Path) -> dict[str, ModuleType]:
    found = {}
    # Not list(sys.modules.items()): the garbage collector may come in between, and with it another thread's import.
    for name, module in sys.modules.copy().items():
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and _is_below(file, path):
            found[name] = module
    return found


def _is_below(name: str, path: Path) -> bool:
    return name.startswith(f"{path}/")


def _forget_definition() -> None:
    """Clear MLflow's note of the model that it last loaded from a file of code; each load writes it anew."""
    model = sys.modules.get("mlflow.models.model")
    if getattr(model, "__mlflow_model__", None) is not None:
        model.__mlflow_model__ = None  # type: ignore[union-attr]
