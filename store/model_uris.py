"""What a person may have meant who names a model of the registry without its scheme."""

import re
from pathlib import Path

_NAMED = re.compile(r"(?P<name>[^/:@]+)(?P<rest>/\d+|/latest|@[^/:@]+)?")


def registry_hint(uri: str) -> str:
    """Return how a URI like ``NAME``, ``NAME/VERSION`` or ``NAME@ALIAS`` is written, as the end of a message.

    Empty where it looks otherwise, or is the path of something.
    """
    found = _NAMED.fullmatch(uri)
    if found is None or Path(uri).exists():
        return ""
    if found["rest"]:
        return f"; a registered model is named with its scheme: did you mean `models:/{uri}`?"
    return f"; a registered model is named with its scheme: `models:/{uri}/VERSION` or `models:/{uri}@ALIAS`"
