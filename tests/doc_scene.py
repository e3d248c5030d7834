"""Where the commands of the documentation are run: a folder with a model, its data, a store with traffic and a monitor.

The model is the tutorial's, registered as ``churn`` in seven versions.
"""

import json
import shlex
import shutil
from pathlib import Path

import pandas as pd
import requests
from doc_blocks import ROOT, TUTORIAL, heredoc
from doc_shell import Scene

_REGISTER = """
import runpy

runpy.run_path("train.py", run_name="__main__")
import mlflow

client = mlflow.MlflowClient()
source = client.get_model_version("churn", "1").source
run = client.get_model_version("churn", "1").run_id
for _ in range(6):
    client.create_model_version("churn", source, run)
for alias, version in {"champion": 3, "next": 4, "challenger": 5}.items():
    client.set_registered_model_alias("churn", alias, str(version))
"""
_SETTINGS = """
[segments]
columns = ["plan"]

[labels]
repeated_keys = "newest"

[imports]
models = ["churn=models:/churn/3"]
"""
_CUSTOMERS = (
    "CREATE TABLE customers (customer_id bigint, left_at timestamptz); INSERT INTO customers VALUES (6001, now())"
)
_REQUESTS, _ROWS = 20, 40


def set_up(scene: Scene) -> None:
    """Train, register, build the reference, serve, send traffic, and write the files that pages name."""
    folder = scene.folder
    (folder / "train.py").write_text(heredoc(TUTORIAL, "train.py"), encoding="utf-8")
    (folder / "register.py").write_text(_REGISTER, encoding="utf-8")
    (folder / "driftline.toml").write_text(_SETTINGS, encoding="utf-8")
    (folder / "deploy").symlink_to(ROOT / "deploy")
    shutil.copy(ROOT / "alerts" / "driftline.rules.yml", folder)
    built = "driftline reference build models:/churn/3 --data train.parquet --labels churned"
    scene.run(f"python register.py\n{built} --performance-data held_out.parquet\n", "scene-model")
    shutil.copy(folder / "held_out.parquet", folder / "held-out.parquet")
    scene.run("driftline serve -m models:/churn@champion -p 5000\n", "scene-serve")
    rows = pd.read_parquet(folder / "held_out.parquet").reset_index(drop=True)
    rows.loc[0, "customer_id"] = 4711  # whom a page forgets
    scene.invocation = _send(rows, f"http://127.0.0.1:{scene.ports[5000]}/invocations")
    scene.stop("scorer")
    scene.run("driftline store load\n", "scene-load")
    _write_files(folder, rows)
    scene.run(f"psql {shlex.quote(scene.postgresql.replace('+psycopg', ''))} -c {shlex.quote(_CUSTOMERS)}", "scene-crm")
    scene.run(f"driftline monitor --port {scene.ports[9108]}\n", "scene-monitor")
    (folder / "servers" / f"monitor.{scene.ports[9108]}").rename(folder / "servers" / "scene.monitor")


def _send(rows: pd.DataFrame, url: str) -> str:
    """Send rows in requests whose ids are ``r0`` and on, and one that is refused; return an invocation's id."""
    features = rows.drop(columns="churned")
    answer = requests.post(url, json={"dataframe_split": {"columns": ["plan"], "data": [["pro"]]}}, timeout=60)
    assert answer.status_code == 400, answer.text
    for number in range(_REQUESTS):
        part = features[number * _ROWS : (number + 1) * _ROWS]
        body = {"dataframe_split": part.to_dict(orient="split", index=False)}
        answer = requests.post(url, json=body, headers={"X-Request-Id": f"r{number}"}, timeout=60)
        assert answer.status_code == 200, answer.text
    return answer.headers["x-driftline-invocation-id"]


def _write_files(folder: Path, rows: pd.DataFrame) -> None:
    sent = rows[: _REQUESTS * _ROWS].reset_index(drop=True)
    requests_of = pd.DataFrame({"request_id": [f"r{i // _ROWS}" for i in sent.index], "row": sent.index % _ROWS})
    outcomes = requests_of.assign(label=sent["churned"])
    outcomes[: 10 * _ROWS].to_csv(folder / "outcomes.csv", index=False)
    outcomes[: 5 * _ROWS].to_csv(folder / "truth.csv", index=False)
    left = pd.DataFrame({"customer_id": sent["customer_id"], "left": sent["churned"]})
    left[10 * _ROWS :].to_parquet(folder / "outcomes.parquet")
    left[:50].to_json(folder / "outcomes.jsonl", orient="records", lines=True)
    features = sent.drop(columns="churned")
    body = {"dataframe_split": features[:2].to_dict(orient="split", index=False)}
    (folder / "request.json").write_text(json.dumps(body), encoding="utf-8")
    _write_captures(folder, features[:1])


def _write_captures(folder: Path, features: pd.DataFrame) -> None:
    """Write one call as SageMaker's capture has it, and one as the two events of KServe's logger."""
    answer = {"predictions": [{"prediction": 0, "probability": 0.25}]}
    call = {
        "captureData": {
            "endpointInput": _side("text/csv", features.to_csv(index=False, header=False)),
            "endpointOutput": _side("application/json", json.dumps(answer)),
        },
        "eventMetadata": {"eventId": "event-1", "inferenceTime": "2026-11-20T10:00:05Z"},
        "eventVersion": "0",
    }
    (folder / "capture").mkdir()
    (folder / "capture" / "calls.jsonl").write_text(json.dumps(call) + "\n", encoding="utf-8")
    asked = {"dataframe_split": features.to_dict(orient="split", index=False)}
    events = [_event("request", asked), _event("response", answer)]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")


def _event(kind: str, data: object) -> dict[str, object]:
    return {
        "specversion": "1.0", "id": "event-2", "source": "http://localhost", "time": "2026-11-20T10:00:05Z",
        "type": f"org.kubeflow.serving.inference.{kind}", "inferenceservicename": "churn",
        "datacontenttype": "application/json", "data": data,
    }  # fmt: skip


def _side(content_type: str, data: str) -> dict[str, str]:
    encoding = "CSV" if content_type == "text/csv" else "JSON"
    return {"observedContentType": content_type, "data": data, "encoding": encoding}
