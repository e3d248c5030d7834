"""Requests answered without MLflow's parsing and enforcement, where the result is certain to be the same.

Invariants
----------
- There is MLflow's answer or the same answer sooner: the model sees the same frame, bit for bit, the same parameters
  and the same context, and the client the same bytes. What is not certain is handed back by None. scikit-learn's own
  models get the matrix that they would make of that frame (``matrix``).
- ``parse`` and ``encode`` never raise; ``predict`` raises what the model raises.
- What was proven at load was proven against the installed MLflow, pandas and NumPy, not against those of our tests.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from driftline.scorer.fast_path.answer import AnswerWriter, split_prediction
from driftline.scorer.fast_path.document import read_document
from driftline.scorer.fast_path.frame import Frame
from driftline.scorer.fast_path.matrix import takes_matrices
from driftline.scorer.fast_path.prediction import Prediction
from driftline.scorer.fast_path.proof import SAMPLE_ANSWERS, same_frames, sample_bodies
from driftline.scorer.fast_path.reader import Form, Reader
from driftline.scorer.fast_path.recorder import recording_model, sample_names
from driftline.scorer.fast_path.signature import NotTaken, ScalarSignature
from driftline.store.prediction_columns import ColumnType

_ALL_MLFLOWS = (
    "MLflow's own code answers every request to this model, about as fast as `mlflow models serve` "
    "(docs/serving.md, What makes answers fast)"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model takes the fast path.

    Attributes:
        fast_path: None where every request is MLflow's.
        sentence: for the log; which requests are MLflow's and why.
    """

    fast_path: "FastPath | None"
    sentence: str


class FastPath:
    """Parses, predicts and encodes for one loaded pyfunc; safe to call from several threads if the model is.

    Attributes:
        names: the columns of the signature, in its order.
        forms: the forms of request that are taken.
        hands_matrices: the model gets a matrix in the place of a frame, see ``matrix``.
    """

    def __init__(self, model: Any, forms: Collection[Form], text_dtype: Any) -> None:
        from mlflow.models.utils import _enforce_params_schema

        signature = ScalarSignature(model.metadata.get_input_schema(), text_dtype)
        self.names = signature.names
        self.forms = frozenset(forms)
        self._reader = Reader(signature, forms)
        self._prediction = Prediction(model)
        self._writer = AnswerWriter()
        self._params_schema = model.metadata.get_params_schema()
        self._enforce_params = _enforce_params_schema
        if self._params_schema is not None and not self._prediction.passes_params:
            raise NotTaken("its signature declares parameters that its predict function does not take")
        every = signature.layout(signature.names)
        matrices = every is not None and takes_matrices(model, lambda data: self._prediction(data, None), every)
        self._matrix_layout = every if matrices else None
        self.hands_matrices = matrices

    @classmethod
    def for_model(cls, model: Any) -> "FastPath | None":
        """Return the fast path of a loaded pyfunc, or None where every request is MLflow's; ``judge`` says why."""
        return cls.judge(model).fast_path

    @classmethod
    def judge(cls, model: Any) -> Verdict:
        """Prove the fast path against the installed MLflow and return it with a sentence for the log."""
        try:
            _refuse_hints(model)
            text_dtype = _text_dtype(model)
            taken = cls(model, _proven_forms(model, text_dtype), text_dtype)
        except NotTaken as reason:
            return Verdict(None, f"{_ALL_MLFLOWS}: {reason}")
        except Exception as error:  # a name that this MLflow does not have, or a model with an interior of its own
            kind = f"{type(error).__name__}: {error}"
            return Verdict(None, f"{_ALL_MLFLOWS}: unknown interior ({kind})")
        left = [form.value for form in Form if form not in taken.forms]
        rest = f", but those in {' and '.join(left)}" if left else ""
        matrices = "; scikit-learn gets matrices" if taken.hands_matrices else ""
        return Verdict(taken, f"ordinary JSON requests take the fast path{rest}{matrices}")

    def parse(self, body: bytes) -> Frame | None:
        """Return the rows of a JSON body, or None where MLflow must answer. Never raises."""
        try:
            document = read_document(body)
            if document is None:
                return None
            rows = self._reader.read(document.field, document.value)
            if rows is None:
                return None
            params = document.params
            if params is not None or self._params_schema is not None:
                params = self._enforce_params(params, self._params_schema)
            own_params = document.params is not None
            return Frame(rows.layout, self.names, rows.blocks, rows.labels, params, own_params)
        except Exception:
            return None

    def join(self, frames: Sequence[Frame]) -> Frame:
        """Return the rows of all frames in order, labelled 0, 1, 2 and so on.

        Raises:
            ValueError: no frame, or frames whose join keys differ or are None.
        """
        return Frame.joined(frames)

    def predict(self, frame: Frame) -> Any:
        """Return what the pyfunc returns for these rows.

        Raises:
            BaseException: what the model raises.
        """
        matrix = self._matrix_layout and frame.matrix(self._matrix_layout)
        return self._prediction(frame.data_frame if matrix is None else matrix, frame.params)

    def encode(self, raw: Any) -> bytes | None:
        """Return MLflow's answer to a prediction, or None where MLflow must answer. Never raises."""
        return self._writer.encode(raw)

    def split(self, raw: Any, rows: Sequence[int]) -> list[Any] | None:
        """Cut the prediction for a joined frame per request; None where its rows are not those of the frame."""
        return split_prediction(raw, rows)


def _refuse_hints(model: Any) -> None:
    if model.metadata.get_input_schema() is None:
        raise NotTaken("it has no signature")
    if model.metadata._is_signature_from_type_hint() or model.metadata._is_type_hint_from_example():
        raise NotTaken("its inputs are described by type hints")


def _text_dtype(model: Any) -> Any:
    """Return what the installed MLflow's frames hold text as."""
    signature = ScalarSignature(model.metadata.get_input_schema())
    texts = [name for name, type_ in signature.types.items() if type_ is ColumnType.STRING]
    if not texts:
        return object
    recorder = recording_model(model, texts[:1])
    _ask_mlflow(recorder, next(sample_bodies(Form.SPLIT, {texts[0]: ColumnType.STRING})))
    return recorder._model_impl.seen[0].dtypes.iloc[0]


def _proven_forms(model: Any, text_dtype: Any) -> list[Form]:
    """Return the forms in which the installed MLflow hands the model what we would.

    Raises:
        NotTaken: there is none, or answers are not written alike.
    """
    signature = ScalarSignature(model.metadata.get_input_schema(), text_dtype)
    few = recording_model(model, sample_names(signature))
    proven = [form for form in Form if _is_proven(few, form, text_dtype)]
    every = recording_model(model, signature.names)
    if not proven or not _is_proven(every, proven[0], text_dtype):
        raise NotTaken("the installed MLflow makes other frames of its requests")
    writer = AnswerWriter()
    if any(writer.encode(answer) != writer.encode_as_mlflow(answer) for answer in SAMPLE_ANSWERS):
        raise NotTaken("the installed MLflow writes answers otherwise")
    return proven


def _is_proven(recorder: Any, form: Form, text_dtype: Any) -> bool:
    fast_path = FastPath(recorder, [form], text_dtype)
    types = ScalarSignature(recorder.metadata.get_input_schema()).types
    try:
        for body in sample_bodies(form, types):
            answer = _ask_mlflow(recorder, body)
            theirs, their_params, their_context = recorder._model_impl.seen
            frame = fast_path.parse(body)
            if frame is None or fast_path.encode(fast_path.predict(frame)) != answer:
                return False
            ours, our_params, our_context = recorder._model_impl.seen
            if not (same_frames(theirs, ours) and their_params == our_params and their_context == our_context):
                return False
    except Exception:  # MLflow refuses this form for this signature
        return False
    return True


def _ask_mlflow(model: Any, body: bytes) -> bytes:
    from mlflow.pyfunc import scoring_server

    schema = model.metadata.get_input_schema()
    answer: str = scoring_server.invocations(body, scoring_server.CONTENT_TYPE_JSON, model, schema).response
    return answer.encode()
