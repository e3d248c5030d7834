"""What must not be kept: columns that are dropped, hashed or masked before the first byte of a body is recorded.

To the spool, the store and the reference a redacted model has other inputs: a dropped column is none of them, a hashed
or masked one is a text. So its signature is rewritten with its rows, and everything after the scorer reads what it
would read of a model that never had the values.
"""

import hmac
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Self, cast, get_args

import orjson

from driftline.store.errors import ConfigurationError
from driftline.store.records import ModelIdentity
from driftline.store.settings import load_section

Method = Literal["drop", "hash", "mask"]
_LEAST_KEY_BYTES = 16
_HASH_DIGITS = 24
_MASK, _SHOWN, _LEAST_SHOWN = "***", 4, 12  # the last four characters of twelve or more stay
_WHOLE_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")
DROPPED: Final = object()


@dataclass(frozen=True, slots=True)
class RedactionSettings:
    """Section ``redaction``.

    Attributes:
        columns: what must not be kept, `column=method` separated by commas; the methods are drop, hash and mask.
        key_file: file with the secret (16 bytes or more) that makes hashes; needed where a column is hashed, the same
            for scorer and monitor.
    """

    columns: str = ""
    key_file: Path | None = None


def load_redaction() -> "Redaction | None":
    """Return what the section ``redaction`` asks for, None where that is nothing.

    Raises:
        ConfigurationError: an unknown setting or method, or no usable key.
    """
    return Redaction.of(load_section(RedactionSettings, "redaction"))


def require_none(what: str) -> None:
    """Raise where anything is redacted: ``what`` is to be kept as it comes.

    Raises:
        ConfigurationError: columns are redacted, or the section is wrong.
    """
    if load_redaction() is not None:
        raise ConfigurationError(
            f"{what} hold what [redaction] does not let be kept: they are not taken where it is set"
        )


@dataclass(frozen=True, slots=True)
class Redaction:
    """The columns that are not kept as they are.

    Attributes:
        methods: by name of an input or output.
        key: of the hashes; hidden in ``repr``.
    """

    methods: Mapping[str, Method]
    key: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, settings: RedactionSettings) -> Self | None:
        """Return what the settings ask for, None where that is nothing.

        Raises:
            ConfigurationError: an unknown method, or no usable key.
        """
        methods: dict[str, Method] = {}
        for part in filter(None, (p.strip() for p in settings.columns.split(","))):
            name, equals, method = part.rpartition("=")
            if not equals or method.strip() not in get_args(Method):
                raise ConfigurationError(
                    f"columns in [redaction] should be `column=method`, with drop, hash or mask, found {part!r}"
                )
            methods[name.strip()] = cast(Method, method.strip())
        if not methods:
            return None
        return cls(methods, _key(settings.key_file) if "hash" in methods.values() else b"")

    def identity(self, identity: ModelIdentity) -> ModelIdentity:
        """Return the model as everything but the scorer knows it; the same where no column of its is redacted."""
        if not identity.signature:
            return identity
        sides = {side: self._schema(identity.signature.get(side)) for side in ("inputs", "outputs")}
        return replace(identity, signature={**identity.signature, **sides})

    def _schema(self, schema: str | None) -> str | None:
        specs = orjson.loads(schema) if schema else None
        if not isinstance(specs, list) or not any(spec.get("name") in self.methods for spec in specs):
            return schema
        kept = [made for spec in specs if (made := self._spec(spec)) is not None]
        return orjson.dumps(kept).decode()

    def _spec(self, spec: dict[str, Any]) -> dict[str, Any] | None:
        method = self.methods.get(spec.get("name", ""))
        if method is None:
            return spec
        if method == "drop" or spec["type"] == "tensor":  # there is no text of a tensor's cell
            return None
        return {"type": "string", "name": spec["name"], "required": spec.get("required", True)}

    def cell(self, name: str, value: Any) -> Any:
        """Return what is kept of a value of a column: ``DROPPED``, a text, or itself; a missing one stays missing."""
        method = self.methods.get(name)
        if method is None:
            return self.nested(value)
        if method == "drop":
            return DROPPED
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        text = cell_text(value)
        if method == "mask":
            return _MASK + (text[-_SHOWN:] if len(text) >= _LEAST_SHOWN else "")
        digest = hmac.digest(self.key, f"{name}\0{text}".encode("utf-8", "surrogatepass"), "sha256")
        return digest.hex()[:_HASH_DIGITS]

    def nested(self, value: Any) -> Any:
        """Return a value with what is redacted in the objects within it."""
        if isinstance(value, Mapping):
            cells = {name: self.cell(name, each) for name, each in value.items()}
            return {name: each for name, each in cells.items() if each is not DROPPED}
        if isinstance(value, list):
            return [self.nested(each) for each in value]
        return value

    def label(self, record: Any) -> Any:
        """Return a label's record as it may be kept; of one that is no object nothing is."""
        return self.nested(record) if isinstance(record, Mapping) else ""

    def column(self, name: str, values: Sequence[Any]) -> list[Any] | None:
        """Return what is kept of a column, None where that is nothing."""
        return None if self.methods.get(name) == "drop" else [self.cell(name, value) for value in values]


def cell_text(value: Any) -> str:
    """Return a value as text, alike however it came: 5, 5.0 and "5" are one."""
    if hasattr(value, "item"):  # of NumPy
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, (dict, list)):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode()
    text = str(value)
    return str(int(text.partition(".")[0])) if _WHOLE_NUMBER.fullmatch(text) and not _is_code(text) else text


def _is_code(text: str) -> bool:
    """Return whether digits mean more than their number, as in a postal code, or are too many for one."""
    digits = text.lstrip("+-").partition(".")[0]
    return text.startswith("+") or len(digits) > 300 or (len(digits) > 1 and digits.startswith("0"))


def _key(path: Path | None) -> bytes:
    if path is None:
        raise ConfigurationError(
            "a column is to be hashed and [redaction] names no key_file: make one with `openssl rand -hex 32 > FILE`"
        )
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"the key file {path} cannot be read ({error.strerror}): correct key_file") from error
    if len(key) < _LEAST_KEY_BYTES:
        raise ConfigurationError(
            f"the key file {path} holds fewer than {_LEAST_KEY_BYTES} bytes: make one with "
            "`openssl rand -hex 32 > FILE`"
        )
    return key
