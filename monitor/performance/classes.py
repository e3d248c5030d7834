"""Classes by name: a label and an output say the same when their names are equal."""

from collections.abc import Iterable

from driftline.store.profile.categorical import category_key


def class_name(cell: object) -> str | None:
    """Return the name of a class: a number's digits (1, 1.0, true and ``"1"`` are one), a text as it is.

    None for what is missing.
    """
    return str(int(cell)) if isinstance(cell, bool) else category_key(cell)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names without repetition, as scikit-learn orders classes: numbers by size, else by text."""
    found = set(names)
    try:
        return tuple(sorted(found, key=float))
    except ValueError:
        return tuple(sorted(found))
