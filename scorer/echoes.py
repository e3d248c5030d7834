"""What an answer repeats of redacted values, found in time that does not grow with how many they are."""

from collections.abc import Iterable
from typing import Any, Final

from driftline.store.redaction import cell_text

LEAST_ECHO: Final = 4  # shorter values stand in any answer
_STARS = "***"


class Echoes:
    """Stars what repeats one of some texts.

    Args:
        texts: each of ``LEAST_ECHO`` characters or more.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = frozenset(texts)
        self._lengths: dict[str, list[int]] = {}  # of the texts that begin with these characters, the longest first
        for length, begin in sorted({(len(text), text[:LEAST_ECHO]) for text in self._texts}, reverse=True):
            self._lengths.setdefault(begin, []).append(length)

    def without(self, value: Any) -> Any:
        """Return a value of JSON with its texts starred; a number that is one of the texts becomes None."""
        if isinstance(value, str):
            return self._starred(value)
        if isinstance(value, dict):
            return {self._starred(key): self.without(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.without(each) for each in value]
        if value is None or isinstance(value, bool):
            return value
        return None if cell_text(value) in self._texts else value

    def _starred(self, text: str) -> str:
        parts, end = [], 0
        for at in range(len(text) - LEAST_ECHO + 1):
            for length in self._lengths.get(text[at : at + LEAST_ECHO], ()):
                if text[at : at + length] in self._texts:
                    if at >= end:  # else it goes on with what was found before
                        parts += [text[end:at], _STARS]
                    end = max(end, at + length)
                    break
        return "".join([*parts, text[end:]])
