"""The objectives in ``objectives.toml``: what is promised by default, and to the callers of some models otherwise."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("objectives.toml")
BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised to the callers of a model.

    Attributes:
        availability_target: share of requests answered without a 5xx, in (0, 1).
        latency_target: share of good answers within ``latency_threshold_seconds``, in (0, 1).
        latency_threshold_seconds: one of ``BOUNDS_SECONDS``.
    """

    availability_target: float
    latency_target: float
    latency_threshold_seconds: float

    def __post_init__(self) -> None:
        for name in ("availability_target", "latency_target"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} should be a share between 0 and 1, found {getattr(self, name)}")
        if self.latency_threshold_seconds not in BOUNDS_SECONDS:
            raise ValueError(
                f"latency_threshold_seconds should be one of {', '.join(map(str, BOUNDS_SECONDS))}, "
                f"found {self.latency_threshold_seconds}"
            )


@dataclass(frozen=True, slots=True)
class Objectives:
    """All promises.

    Attributes:
        default: for every model that has none of its own.
        models: by model name.
        min_requests: in a long window, below which nothing is said of it.
    """

    default: Promise
    models: Mapping[str, Promise]
    min_requests: int


def load_objectives(path: Path = PATH) -> Objectives:
    """Read the objectives.

    Raises:
        ValueError: a key is unknown or missing, or a number is out of range; names it.
    """
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    given = {"availability": {"target"}, "latency": {"target", "threshold_seconds"}, "traffic": {"min_requests"}}
    _require_known(document, {*given, "models"}, str(path))
    for table, keys in given.items():
        _require_known(document.get(table, {}), keys, f"[{table}]")
        if missing := keys - document.get(table, {}).keys():
            raise ValueError(f"[{table}] lacks {', '.join(sorted(missing))}")
    default = Promise(
        availability_target=document["availability"]["target"],
        latency_target=document["latency"]["target"],
        latency_threshold_seconds=float(document["latency"]["threshold_seconds"]),
    )
    models = {}
    for name, own in document.get("models", {}).items():
        _require_known(own, {field.name for field in fields(Promise)}, f"[models.{name!r}]")
        models[name] = replace(default, **{key: float(value) for key, value in own.items()})
    return Objectives(default, models, document["traffic"]["min_requests"])


def _require_known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := table.keys() - known:
        raise ValueError(f"{where} does not know {', '.join(sorted(unknown))}: it has {', '.join(sorted(known))}")
