"""The demo's traffic: ordinary MLflow payloads over one keep-alive connection, most single rows, some in tens.

And, once the year is over, what turned out to be true of each row, by the id that came with the answer.
"""

import http.client
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from driftline.cli.demo.population import TARGET, load_population
from driftline.store.errors import DriftlineError

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 3_000
_SINGLE_ROWS = 600
_BATCH_ROWS = 10

Label = dict[str, Any]  # request_id, row, label


def first_phase(url: str) -> list[Label]:
    """Send 3,000 rows from the plans that the model was trained on; return their labels."""
    return _send(url, list(_parts(load_population().like_training[:_ROWS])))


def second_phase(url: str) -> list[Label]:
    """Send 3,000 rows from the other plans, and three requests that no model can answer; return the rows' labels."""
    return _send(
        url,
        list(_parts(load_population().shifted[:_ROWS])),
        b'{"dataframe_split": {"columns": ["lncoins"], "data": [[0]]}}',
        b"not JSON",
        b'{"rows": []}',
    )


def post_labels(url: str, labels: list[Label]) -> None:
    """Tell the monitor what turned out to be true."""
    body = json.dumps(labels).encode()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("POST", "/labels", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    if answer.status != 200:
        raise DriftlineError(f"the monitor refused the labels with {answer.status}: see logs/monitor.log in the folder")
    click.echo(f"  POST {url}/labels: {said}")


def _parts(rows: "pd.DataFrame") -> Iterator["pd.DataFrame"]:
    for start in range(_SINGLE_ROWS):
        yield rows[start : start + 1]
    for start in range(_SINGLE_ROWS, len(rows), _BATCH_ROWS):
        yield rows[start : start + _BATCH_ROWS]


def _send(url: str, parts: "list[pd.DataFrame]", *strange: bytes) -> list[Label]:
    answers: dict[int, int] = {}
    labels: list[Label] = []
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    with click.progressbar([*parts, *strange], label=f"  {len(parts) + len(strange)} requests") as progress:
        for part in progress:
            body = part if isinstance(part, bytes) else request_body(part)
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            answers[answer.status] = answers.get(answer.status, 0) + 1
            if not isinstance(part, bytes) and answer.status == 200:
                id_ = answer.headers["x-driftline-invocation-id"]
                truth = enumerate(part[TARGET].tolist())
                labels += [{"request_id": id_, "row": row, "label": label} for row, label in truth]
    connection.close()
    click.echo(f"  answers by status: {', '.join(f'{n} x {status}' for status, n in sorted(answers.items()))}")
    return labels


def request_body(part: "pd.DataFrame") -> bytes:
    """Return the request that asks the model for these rows."""
    return json.dumps({"dataframe_split": part.drop(columns=TARGET).to_dict(orient="split", index=False)}).encode()
