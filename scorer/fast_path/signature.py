"""What the fast path needs to know of a model's signature."""

from collections.abc import Iterable
from typing import Any

from driftline.scorer.fast_path.layout import Layout
from driftline.store.prediction_columns import ColumnType
from driftline.store.typed_payload import BLOCK_TYPES

_TYPE_NAMES = frozenset(type_.value for type_ in BLOCK_TYPES)
_KEPT_LAYOUTS = 64  # optional columns can be absent in many combinations, which are the clients'


class NotTaken(Exception):
    """The model is left to MLflow; the message says why in one sentence."""


class ScalarSignature:
    """Named scalar inputs, some of them optional.

    Args:
        schema: MLflow's, of the inputs.
        text_dtype: what MLflow's frames hold text as.

    Raises:
        NotTaken: the signature holds something else.
    """

    def __init__(self, schema: Any, text_dtype: Any = object) -> None:
        self.types: dict[str, ColumnType] = {}
        self.required: set[str] = set()
        for spec in schema.inputs:
            name, type_ = getattr(spec, "name", None), getattr(getattr(spec, "type", None), "name", None)
            if type(name) is not str or not name:
                raise NotTaken("its signature has inputs without a name")
            if name in self.types:
                raise NotTaken("its signature names a column twice")
            if schema.is_tensor_spec() or type_ not in _TYPE_NAMES:
                raise NotTaken(f"its signature has an input of type {type_ or spec.type}")
            self.types[name] = ColumnType(type_)
            if spec.required:
                self.required.add(name)
        if not self.types:
            raise NotTaken("its signature has no inputs")
        self.names = tuple(self.types)
        self._text_dtype = text_dtype
        self._layouts: dict[frozenset[str], Layout] = {}

    @property
    def has_text(self) -> bool:
        return ColumnType.STRING in self.types.values()

    def layout(self, names: Iterable[str]) -> Layout | None:
        """Return the layout of a request with these columns; None where a required one is missing."""
        present = frozenset(names).intersection(self.types)
        if not self.required <= present or not present:
            return None
        known = self._layouts.get(present)
        if known is not None:
            return known
        if len(self._layouts) >= _KEPT_LAYOUTS:
            self._layouts.clear()
        types = {name: type_ for name, type_ in self.types.items() if name in present}
        made = self._layouts[present] = Layout(types, self._text_dtype)
        return made
