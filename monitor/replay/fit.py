"""Whether captured rows can be put to another version at all, and which of its outputs stand beside which."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import orjson

from driftline.store.errors import DriftlineError
from driftline.store.prediction_columns import PredictionColumn, prediction_columns
from driftline.store.records import ModelIdentity
from driftline.store.redaction import Redaction


class CannotReplay(DriftlineError):
    """The captured rows are none that the model can be asked about, or there are none."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How the asked version's columns stand to those of the version that answered.

    Attributes:
        inputs: of the version that answered, without those whose values are redacted.
        outputs: of the asked version.
        pairs: outputs that are compared: of the version that answered, of the asked one.
        notes: what differs, in sentences.
    """

    inputs: tuple[PredictionColumn, ...]
    outputs: tuple[PredictionColumn, ...]
    pairs: tuple[tuple[PredictionColumn, PredictionColumn], ...]
    notes: tuple[str, ...]


def fit(
    columns: Sequence[PredictionColumn], answered_by: str, asked: ModelIdentity, redaction: Redaction | None = None
) -> Fit:
    """Compare the columns of captured rows with the signature of the version that is to be asked.

    Args:
        columns: of the version that answered, whose name for people is ``answered_by``.
        redaction: whose columns hold no values that a model could be asked about.

    Raises:
        CannotReplay: the version needs inputs that the rows do not have, or has no output to compare.
    """
    redacted = frozenset(redaction.methods) if redaction is not None else frozenset[str]()
    captured = [c for c in columns if c.side == "input"]
    inputs = tuple(c for c in captured if c.name not in redacted)
    label = f"{asked.name}/{asked.version}"
    notes = _redaction_notes(captured, redacted, asked.signature, label)
    notes += _input_notes(inputs, answered_by, asked.signature, label, redacted)
    outputs = tuple(c for c in prediction_columns(asked.signature) if c.side == "output")
    given = [c for c in columns if c.side == "output"]
    by_name = {c.name: c for c in outputs}
    pairs = [(c, by_name[c.name]) for c in given if c.name in by_name]
    if not pairs and len(given) == len(outputs):
        pairs = list(zip(given, outputs, strict=True))
    if not pairs:
        raise CannotReplay(
            f"{label} answers {_names(outputs)}, {answered_by} answered {_names(given)}: nothing to compare; "
            "name outputs that mean the same alike in the signatures"
        )
    paired = [c for pair in pairs for c in pair]
    if left_out := [c for c in (*given, *outputs) if c not in paired]:
        notes.append(f"only one of the versions answers {_names(left_out)}, which is not compared")
    return Fit(inputs, outputs, tuple(pairs), tuple(notes))


def _redaction_notes(
    captured: Sequence[PredictionColumn], redacted: AbstractSet[str], signature: Mapping[str, Any] | None, label: str
) -> list[str]:
    """Return what is not handed over because its values were never kept; what cannot do without is refused."""
    specs, wanted = _specs(signature)
    whole = {c.name for c in captured} == {"row"}  # requests without columns of their own: nothing can be left out
    held = [name for name in wanted if name in redacted]
    if required := [name for name in held if whole or wanted[name].get("required", True)]:
        optional = "" if whole else ", or log this one with these inputs as optional (`required=False`)"
        raise CannotReplay(
            f"{label} requires {_listed(required)}, whose values [redaction] keeps out of the store: replay a version "
            f"that does without{optional}"
        )
    if not specs:
        held = [c.name for c in captured if c.name in redacted]
    return [f"{label} answers without {_listed(held)}, whose values [redaction] keeps out of the store"] if held else []


def _specs(signature: Mapping[str, Any] | None) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the inputs of a signature, and those that have a name by it."""
    specs = orjson.loads((signature or {}).get("inputs") or "[]")
    return specs, {str(spec["name"]): spec for spec in specs if spec.get("name") is not None}


def _input_notes(
    inputs: Sequence[PredictionColumn],
    answered_by: str,
    signature: Mapping[str, Any] | None,
    label: str,
    redacted: AbstractSet[str],
) -> list[str]:
    specs, wanted = _specs(signature)
    if not specs:
        return [f"{label} has no signature of its inputs: it gets the columns as they came"]
    captured = {c.name: c for c in inputs}
    if not wanted or set(captured) == {"row"}:  # by position, or of requests without named columns
        columns = [spec for spec in specs if spec["type"] != "tensor"]
        if len(columns) > len(inputs) and set(captured) != {"row"}:
            raise CannotReplay(
                f"{label} takes {len(columns)} inputs, {answered_by} was asked with {len(inputs)}: replay a version "
                "that takes the same, or name the columns in the signature"
            )
        return []
    missing = [name for name in wanted if name not in captured and name not in redacted]
    required = [name for name in missing if wanted[name].get("required", True)]
    if required:
        raise CannotReplay(
            f"the requests that {answered_by} answered do not have {_listed(required)}, which {label} requires: send "
            "them along with today's requests, or log the version with these inputs as optional (`required=False`)"
        )
    notes = []
    if missing:
        notes.append(f"no captured row has {_listed(missing)}, which {label} may have: it answers without")
    if unused := [name for name in captured if name not in wanted]:
        notes.append(f"{label} does not take {_listed(unused)}, which the requests have")
    known = prediction_columns({"inputs": (signature or {})["inputs"]})
    for column in known:
        was = captured.get(column.name)
        if column.side == "input" and was is not None and was.type is not column.type:
            notes.append(f"{column.name} is {column.type} for {label} and {was.type} for {answered_by}")
    return notes


def _names(columns: Sequence[PredictionColumn]) -> str:
    return _listed([c.name for c in columns])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
