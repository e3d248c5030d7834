"""What an answer of ``/invocations`` says about its request, read off its bytes without parsing them."""

from typing import Literal, get_args

Rejection = Literal["schema", "malformed", "too_large", "overload", "timeout", "unauthorized"]
REJECTIONS: tuple[Rejection, ...] = get_args(Rejection)

_BY_STATUS: dict[int, Rejection] = {
    401: "unauthorized",
    413: "too_large",
    415: "malformed",
    429: "overload",
    503: "overload",
    504: "timeout",
}
# MLflow's own words. An exception inside the model is a 400 too, but no refusal of the request.
_SCHEMA = (b"Failed to enforce ", b"Data is not compatible with model signature", b"Invalid parameters found")
_MALFORMED = (
    b'"message": "Invalid input. ',
    b'"message": "The input must be ',
    b'"message": "Failed to parse input as ',
    b'"message": "Parameters must be ',
)
_PREDICTIONS = b'{"predictions": '


def rejection(status: int, body: bytes) -> Rejection | None:
    """Return why the server refused a request, None where it did not (a failing model is no refusal)."""
    if status != 400:
        return _BY_STATUS.get(status)
    if any(words in body for words in _SCHEMA):
        return "schema"
    return "malformed" if any(words in body for words in _MALFORMED) else None


def answer_rows(body: bytes) -> int:
    """Return the rows of a 2xx answer, counted by the separators that MLflow writes between them.

    An answer that is no list (a scalar, a dictionary, a language model's) is one row. A string value that itself
    contains a separator counts as more than one; the exact figure is ``invocation.row_count`` in the store.
    """
    start = len(_PREDICTIONS)
    if not body.startswith(_PREDICTIONS) or body[start : start + 1] != b"[":
        return 1
    if body[start + 1 : start + 2] == b"]":
        return 0
    depth = 1
    while body[start + depth : start + depth + 1] == b"[":
        depth += 1
    if depth > 1:
        return body.count(b"]" * (depth - 1) + b", " + b"[" * (depth - 1)) + 1
    separator = {b"{": b"}, {", b'"': b'", "'}.get(body[start + 1 : start + 2], b", ")
    return body.count(separator) + 1
