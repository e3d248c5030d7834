"""Answers as people and programs get them: pages from templates, documents as JSON, errors as either."""

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from driftline.monitor.templates import page_environment
from driftline.monitor.web import text
from driftline.monitor.web.links import column_path, model_path
from driftline.monitor.web.query import VERDICTS
from driftline.monitor.web.svg import bars, lines

API = "/api"
_STRICT = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _STRICT,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_QUERY = ("q", "verdict", "sort", "page", "per_page", "version", "arm", "side", "days", "refresh")

_TEMPLATES = page_environment(Path(__file__).parent / "templates")
_TEMPLATES.filters.update(text.FILTERS)
_TEMPLATES.globals.update(
    bars=bars, lines=lines, verdicts=VERDICTS, model_path=model_path, column_path=column_path
)  # fmt: skip


def page(request: Request, template: str, document: dict[str, Any], status: int = 200, **more: Any) -> Response:
    """Return a document as a page."""
    given = {name: request.query_params.get(name, "") for name in _QUERY}

    def here(**changes: object) -> str:
        """Return this page's address with some of its query changed; None takes a part away."""
        query = {k: v for k, v in {**given, **changes}.items() if v not in (None, "")}
        return quote(request.url.path) + (f"?{urlencode(query)}" if query else "")

    body = _TEMPLATES.get_template(template).render(
        doc=document, here=here, given=given, json_path=API + here(refresh=None), **more
    )
    return Response(body, status, _HEADERS, "text/html; charset=utf-8")


def document(content: dict[str, Any], status: int = 200) -> Response:
    """Return a document as JSON."""
    return Response(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE), status, _HEADERS, "application/json")


def json_text(content: bytes) -> Response:
    """Return JSON that is written already."""
    return Response(content, 200, _HEADERS, "application/json")


def trouble(request: Request, status: int, message: str) -> Response:
    """Return an error in the form of what was asked for."""
    if request.url.path.startswith(API) or request.method == "POST":  # programs post
        return document({"status": status, "error": message}, status)
    return page(request, "error.html", {"status": status, "error": message}, status)


def file(name: str, media_type: str) -> Response:
    """Return one of the pages' own files."""
    content = (Path(__file__).parent / "templates" / name).read_bytes()
    return Response(content, 200, {**_HEADERS, "Cache-Control": "max-age=600"}, media_type)


def foreign_page(html: str | bytes, *, scripts: bool = False) -> Response:
    """Return a page that is not made here: it is shut off from the others, and loads nothing from anywhere."""
    allowed = "script-src 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:; " if scripts else ""
    sandbox = "sandbox allow-scripts allow-downloads; " if scripts else "sandbox; "
    policy = (
        f"{sandbox}default-src 'none'; {allowed}style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return Response(html, 200, {**_HEADERS, "Content-Security-Policy": policy}, "text/html; charset=utf-8")
