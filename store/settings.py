"""Settings: ``driftline.toml``, then ``DRIFTLINE_*``, then flags; one frozen object per section, read once at start.

The file's top level holds ``home`` and ``store``; each other section is a table (``[spool]``, ``[monitor]`` ...). The
variable of a key is ``DRIFTLINE_<KEY>`` at the top level and ``DRIFTLINE_<SECTION>_<KEY>`` elsewhere. Unknown keys
and variables stop the start with the nearest known name.
"""

import dataclasses
import math
import os
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from driftline.store.errors import ConfigurationError
from driftline.store.near_names import meant

SECTIONS = (
    "spool", "loader", "retention", "labels", "imports", "redaction", "scorer", "proxy", "monitor", "report", "drift",
    "segments", "quality", "multivariate", "performance",
)  # fmt: skip
_TOP_LEVEL = ("home", "store", "config")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BaseSettings:
    """The top level of the configuration.

    Attributes:
        home: folder of spool, SQLite store and reports; made when missing.
        store: SQLAlchemy URL; empty means SQLite in the home. Hidden in ``repr``: it may hold a password.
    """

    home: Path = Path("driftline-data")
    store: str = field(default="", repr=False)

    @property
    def store_url(self) -> str:
        return self.store or f"sqlite:///{(self.home / 'driftline.sqlite').absolute()}"

    @property
    def spool_folder(self) -> Path:
        return self.home.absolute() / "spool"


def load_base(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ) -> BaseSettings:
    """Return the top level; ``flags`` holds only what the user typed (no None)."""
    return _build(BaseSettings, "", flags or {}, environ)


def load_section(
    cls: type[T], section: str, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ
) -> T:
    """Return the frozen dataclass ``cls`` filled from the table ``section``.

    Args:
        cls: a dataclass whose fields all have defaults; their annotations (str, int, float, bool, Path, a union with
            None, a Literal of strings, or a tuple of them) say how text is read.
        section: one of ``SECTIONS``.
        flags: what the user typed on the command line, by field name; None values are passed over.
        environ: the process environment.

    Raises:
        ConfigurationError: an unknown key or variable, or a value of the wrong type.
    """
    if section not in SECTIONS:
        raise ValueError(f"{section!r} is no section: {SECTIONS}")
    return _build(cls, section, flags or {}, environ)


def _build(cls: type[T], section: str, flags: Mapping[str, Any], environ: Mapping[str, str]) -> T:
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    document, path = _read_file(environ)
    table = {k: v for k, v in document.items() if k not in SECTIONS} if not section else document.get(section, {})
    where = f"{path}, [{section}]" if section else str(path)
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: {section!r} should be a table, write `[{section}]`")
    values: dict[str, Any] = {}
    for key, raw in table.items():
        if key not in names:
            raise _unknown(key, [*names, *(SECTIONS if not section else ())], where)
        values[key] = _convert(raw, hints[key], f"{key} in {where}")
    prefix = f"DRIFTLINE_{section.upper()}_" if section else "DRIFTLINE_"
    known = {f"{prefix}{name.upper()}": name for name in names}
    for variable in environ:
        if not variable.startswith(prefix) or variable in known:
            continue
        rest = variable.removeprefix("DRIFTLINE_").lower()
        if section or not (rest in _TOP_LEVEL or rest.startswith(tuple(f"{s}_" for s in SECTIONS))):
            raise _unknown(variable, list(known), "the environment")
    for variable, name in known.items():
        if variable in environ:
            values[name] = _convert(environ[variable], hints[name], variable)
    for name, value in flags.items():
        if value is not None and name in names:
            values[name] = _convert(value, hints[name], f"--{name.replace('_', '-')}")
    return cls(**values)


def _read_file(environ: Mapping[str, str]) -> tuple[dict[str, Any], Path]:
    named = environ.get("DRIFTLINE_CONFIG")
    path = Path(named or "driftline.toml")
    if not path.is_file():
        if named:
            raise ConfigurationError(f"DRIFTLINE_CONFIG names {path}, which is no file: correct it or unset it")
        return {}, path
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), path
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _unknown(name: str, known: list[str], where: str) -> ConfigurationError:
    return ConfigurationError(f"unknown setting `{name}` in {where}: {meant(name, sorted(known), len(known))}")


def _convert(raw: Any, hint: Any, where: str) -> Any:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if raw is None or (raw == "" and type(None) in options):
        return None
    target = next(o for o in options if o is not type(None))
    try:
        return _to(raw, target)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{where} should be {_say(target)}, found {raw!r}") from error


def _to(raw: Any, target: Any) -> Any:
    if typing.get_origin(target) is typing.Literal:
        if raw not in typing.get_args(target):
            raise ValueError(raw)
        return raw
    if typing.get_origin(target) is tuple:  # of texts: a list in the file, separated by commas elsewhere
        items = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise ValueError(raw)
        return tuple(item.strip() for item in items if item.strip())
    if target is bool:
        if (found := _TRUTH.get(str(raw).lower())) is None:
            raise ValueError(raw)
        return found
    if isinstance(raw, (bool, dict, list)) or (target is int and isinstance(raw, float) and not raw.is_integer()):
        raise ValueError(raw)
    value = target(raw)
    if target is float and not math.isfinite(value):
        raise ValueError(raw)
    return value


def _say(target: Any) -> str:
    if typing.get_origin(target) is typing.Literal:
        return " or ".join(repr(a) for a in typing.get_args(target))
    if typing.get_origin(target) is tuple:
        return "a list of texts"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}.get(
        target, str(target)
    )
