"""Which name was meant by one that is unknown: the end of a message that refuses it."""

import difflib
from collections.abc import Iterable


def meant(name: str, known: Iterable[str], most: int = 20) -> str:
    """Return ``did you mean `region`?``, or where no known name is near, the known ones.

    Args:
        most: so many are told at most.
    """
    names = list(dict.fromkeys(known))
    if near := difflib.get_close_matches(name, names, n=1):
        return f"did you mean `{near[0]}`?"
    return f"known are: {', '.join(names[:most]) or 'none'}{' ...' if len(names) > most else ''}"
