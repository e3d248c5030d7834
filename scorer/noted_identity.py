"""The note beside a copied model's files that says which model version they are: nobody can ask a registry there."""

import dataclasses
from pathlib import Path

import orjson

from driftline.store.errors import ModelNotFound
from driftline.store.records import ModelIdentity

_NOTE = "driftline_identity.json"


def note_identity(model: Path, identity: ModelIdentity) -> None:
    """Write into the model's folder what the copy is to be called."""
    (model / _NOTE).write_bytes(orjson.dumps({"name": identity.name, "version": identity.version}))


def with_noted(identity: ModelIdentity, model: Path) -> ModelIdentity:
    """Return the identity under the name and version that are noted in the model's folder, as it is without a note.

    Raises:
        ModelNotFound: there is a note, and it is damaged.
    """
    note = model / _NOTE
    if not note.is_file():
        return identity
    try:
        found = orjson.loads(note.read_bytes())
        return dataclasses.replace(identity, name=str(found["name"]), version=str(found["version"]))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelNotFound(
            f"{note} does not tell name and version: write the copy again, or delete this file"
        ) from error
