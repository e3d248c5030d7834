"""The demo's traffic: ordinary MLflow payloads over one keep-alive connection, most single rows, some in tens."""

import http.client
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from driftline.cli.demo.population import load_population

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 3_000
_SINGLE_ROWS = 600
_BATCH_ROWS = 10


def first_phase(url: str) -> None:
    """Send 3,000 rows from the plans that the model was trained on."""
    _send(url, _bodies(load_population().like_training))


def second_phase(url: str) -> None:
    """Send 3,000 rows from the other plans, and three requests that no model can answer."""
    _send(
        url,
        [
            *_bodies(load_population().shifted),
            b'{"dataframe_split": {"columns": ["lncoins"], "data": [[0]]}}',
            b"not JSON",
            b'{"rows": []}',
        ],
    )


def _bodies(rows: "pd.DataFrame") -> list[bytes]:
    return [
        json.dumps({"dataframe_split": part.to_dict(orient="split", index=False)}).encode()
        for part in _parts(rows[:_ROWS])
    ]


def _parts(rows: "pd.DataFrame") -> Iterator["pd.DataFrame"]:
    for start in range(_SINGLE_ROWS):
        yield rows[start : start + 1]
    for start in range(_SINGLE_ROWS, len(rows), _BATCH_ROWS):
        yield rows[start : start + _BATCH_ROWS]


def _send(url: str, bodies: list[bytes]) -> None:
    answers: dict[int, int] = {}
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    with click.progressbar(bodies, label=f"  {len(bodies)} requests") as progress:
        for body in progress:
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            answers[answer.status] = answers.get(answer.status, 0) + 1
    connection.close()
    click.echo(f"  answers by status: {', '.join(f'{n} x {status}' for status, n in sorted(answers.items()))}")
