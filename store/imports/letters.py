"""The bodies in what imports leave in ``dead_letter``: JSON lines hold them in base64, where no search sees them."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import orjson


def bodies_within(letter: bytes) -> Iterator[bytes]:
    """Yield the bodies that events (``body_base64``) and lines of SageMaker's capture hold in base64."""
    for line in letter.splitlines():
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        for text in _encoded(document):
            try:
                yield base64.b64decode(text)
            except (binascii.Error, ValueError):
                continue


def _encoded(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    captured = document.get("captureData")
    sides = [side for side in captured.values() if isinstance(side, dict)] if isinstance(captured, dict) else []
    for text in (
        document.get("body_base64"),
        *(side.get("data") for side in sides if side.get("encoding") == "BASE64"),
    ):
        if isinstance(text, str):
            yield text
