"""Headers that pass, and those that are between two neighbours only (RFC 9110, section 7.6.1)."""

from driftline.scorer.asgi_types import Headers, Scope

_HOP_BY_HOP = frozenset((
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
))  # fmt: skip


def end_to_end(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers that are for the other end, unchanged and in their order; names are in lower case."""
    given = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in given if name == b"connection" for token in value.split(b",")} - {
        b"content-length"
    }
    return [(name, value) for name, value in given if name not in _HOP_BY_HOP and name not in named]


def request_head(scope: Scope, chunked: bool, added: Headers = ()) -> bytes:
    """Return the request line and the headers for the server behind.

    Args:
        chunked: the body comes in chunks; its length is not said then.
        added: headers of this hop.
    """
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    lines = [scope.get("method", "GET").encode() + b" " + target + b" HTTP/1.1"]
    for name, value in (*end_to_end(scope["headers"]), *added):
        if not (chunked and name == b"content-length"):
            lines.append(name + b": " + value)
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    return b"\r\n".join([*lines, b"", b""])
