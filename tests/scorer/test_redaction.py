"""Redacted columns are nowhere: not in ring, spool, store, dump or reference, whatever form they came in."""

import io
import json
import os
import shutil
import signal
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import servers
from scoring_servers import DriftlineServer, driftline_server, running
from sqlalchemy import select, text

from driftline.monitor.training.redacted_training import redacted_training
from driftline.scorer.redacted_bodies import RedactedBodies
from driftline.store import schema
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.payload.body_parser import WITHHELD
from driftline.store.prediction_columns import prediction_columns
from driftline.store.records import ModelIdentity
from driftline.store.redaction import Redaction, RedactionSettings
from driftline.store.verify import verify

pytestmark = pytest.mark.thorough

KEY = "5a" * 32
NAMES = ("email", "name", "iban")
COLUMNS = "email=hash, name=drop, iban=mask, customer=hash"
INPUTS = [
    {"type": "string", "name": "email", "required": True}, {"type": "string", "name": "name", "required": True},
    {"type": "string", "name": "iban", "required": True}, {"type": "long", "name": "customer", "required": True},
    {"type": "double", "name": "age", "required": True},
]  # fmt: skip
IDENTITY = ModelIdentity(
    "echo", "1", "models:/echo/1",
    signature={
        "inputs": json.dumps(INPUTS), "outputs": json.dumps([{"type": "string", "required": True}]), "params": None,
    },
)  # fmt: skip


class People:
    """Rows of people nobody else is; ``secrets`` are the texts that must not be found."""

    def __init__(self) -> None:
        self.secrets: list[str] = []

    def frame(self, rows: int = 3, age: float = 40.0) -> pd.DataFrame:
        people = []
        for _ in range(rows):
            n = len(self.secrets)
            told = [f"planted{n}@secret.example", f"Plantina{n} Sécrète", f"DE{n:04d}PLANTEDIBAN77"]
            customer = 777_000_111_000 + n
            people.append({**dict(zip(NAMES, told, strict=True)), "customer": customer, "age": age + 0.25})
            self.secrets += [*told, str(customer)]
        return pd.DataFrame(people)


def json_forms(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [
        {"dataframe_split": frame.to_dict(orient="split", index=False)},
        {"dataframe_records": frame.to_dict(orient="records")},
        {"inputs": frame.to_dict(orient="list")},
        {"instances": frame.to_dict(orient="records")},
    ]


def redacted() -> RedactedBodies:
    methods = {"email": "hash", "name": "drop", "iban": "mask", "customer": "hash"}
    return RedactedBodies(Redaction(methods, KEY.encode()), IDENTITY)


@pytest.mark.parametrize(
    "body",
    [
        b"[1", b'["a"]', b'{"messages": [{"content": "planted"}]}', b'{"instances": [["planted", 1]]}',
        b'{"dataframe_split": {"data": [["planted"]]}}', b'{"inputs": ["planted"]}',
        b'{"dataframe_split": {"columns": ["email"], "data": [["planted", 2]]}}',
    ],
)  # fmt: skip
def test_a_body_in_which_a_values_column_is_not_certain_is_withheld(body: bytes) -> None:
    kept = redacted().of(200, b"application/json; planted=1", body, b'{"predictions": ["planted"]}')
    assert kept == (b"application/json", b"", WITHHELD)


def test_a_csv_whose_header_is_a_row_is_withheld() -> None:
    body = b"planted@x,Name,DE1,5,3\nplanted@y,Name,DE1,5,3\n"
    assert redacted().of(200, b"text/csv", body, b'{"predictions": [1, 2]}').response == WITHHELD


def test_of_an_error_only_the_code_is_kept() -> None:
    kept = redacted().of(400, b"application/json", b"planted", b'{"error_code": "BAD_REQUEST", "message": "planted"}')
    assert kept == (b"application/json", b"", b'{"error_code":"BAD_REQUEST"}')
    assert redacted().of(400, b"planted", b"", b'{"error_code": "planted"}') == (b"", b"", b"")


def test_one_value_has_one_hash_in_every_form_and_in_training() -> None:
    frame = People().frame(2)
    bodies = redacted()

    def kept_request(kind: bytes, body: bytes) -> bytes:
        return bodies.of(200, kind, body, b'{"predictions": [1, 2]}').request

    hashes = set()
    for form in json_forms(frame):
        kept = json.loads(kept_request(b"application/json", json.dumps(form).encode()))
        (part,) = kept.values()
        if "data" in part:
            part = [dict(zip(part["columns"], row, strict=True)) for row in part["data"]]
        elif isinstance(part, dict):
            part = pd.DataFrame(part).to_dict(orient="records")
        assert [sorted(row) for row in part] == [["age", "customer", "email", "iban"]] * 2
        hashes.add(tuple((row["email"], row["customer"], row["iban"]) for row in part))
    kept_csv = kept_request(b"text/csv", frame.to_csv(index=False).encode())
    kept_parquet = kept_request(b"application/vnd.apache.parquet", frame.to_parquet())
    for kept_frame in (pd.read_csv(io.BytesIO(kept_csv), dtype=str), pd.read_parquet(io.BytesIO(kept_parquet))):
        hashes.add(tuple(kept_frame[["email", "customer", "iban"]].itertuples(index=False, name=None)))
    columns = prediction_columns(IDENTITY.signature)
    data = {c.column_name: frame[c.name].to_numpy() for c in columns if c.side == "input"}
    data |= {c.column_name: frame["age"].to_numpy() for c in columns if c.side == "output"}
    identity, kept_columns, trained = redacted_training(bodies._redaction, IDENTITY, columns, data)
    by_name = {c.name: trained[c.column_name] for c in kept_columns}
    hashes.add(tuple(zip(by_name["email"], by_name["customer"], by_name["iban"], strict=True)))
    assert "name" not in by_name
    assert identity.fingerprint != IDENTITY.fingerprint
    assert len(hashes) == 1


def test_a_key_is_asked_for_and_stays_out_of_repr(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="openssl rand"):
        Redaction.of(RedactionSettings("email=hash"))
    (tmp_path / "key").write_text("short")
    with pytest.raises(ConfigurationError, match="fewer than 16 bytes"):
        Redaction.of(RedactionSettings("email=hash", tmp_path / "key"))
    with pytest.raises(ConfigurationError, match="column=method"):
        Redaction.of(RedactionSettings("email"))
    (tmp_path / "key").write_text(KEY)
    assert KEY not in repr(Redaction.of(RedactionSettings("email=hash", tmp_path / "key")))
    assert Redaction.of(RedactionSettings()) is None


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model ``echo``."""
    folder = tmp_path_factory.mktemp("echo") / "echo"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
        from mlflow.models import ModelSignature

        mlflow.pyfunc.save_model(
            folder,
            python_model=Path(__file__).parent / "models" / "echo.py",
            signature=ModelSignature.from_dict(IDENTITY.signature),
            pip_requirements=[],
        )
    return folder


@pytest.fixture
def server(echo: Path, tmp_path: Path) -> Iterator[DriftlineServer]:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "ring").mkdir()
    variables = {
        "DRIFTLINE_REDACTION_COLUMNS": COLUMNS, "DRIFTLINE_REDACTION_KEY_FILE": str(tmp_path / "key"),
        "DRIFTLINE_SPOOL_RING_FOLDER": str(tmp_path / "ring"), "DRIFTLINE_SPOOL_RING_BYTES": str(1 << 20),
        "DRIFTLINE_SPOOL_MIN_FREE_BYTES": "0",
    }  # fmt: skip
    server = driftline_server(tmp_path, str(echo), "home", **variables)
    with running(server):
        yield server


def found_in(folder: Path, secrets: list[str]) -> set[str]:
    """Return the files below a folder with a secret, as it is or as JSON writes it."""
    needles = {form for s in secrets for form in (s.encode(), json.dumps(s)[1:-1].encode(), s.encode("utf-16-le"))}
    held = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path.name for path, content in held.items() if any(needle in content for needle in needles)}


def test_planted_secrets_are_in_no_byte_of_ring_spool_store_or_dump(
    server: DriftlineServer, tmp_path: Path, store_url: str, request: pytest.FixtureRequest
) -> None:
    people = People()
    good = 0
    for age in (40.0, 60.0):
        for form in json_forms(people.frame(age=age)):
            answer = server.score(json.dumps(form).encode())
            assert answer.status == 200, answer.body
            good += 1
        for kind, body in (
            ("text/csv", people.frame(age=age).to_csv(index=False).encode()),
            ("application/vnd.apache.parquet", people.frame(age=age).to_parquet()),
        ):
            answer = server.ask("POST", "/invocations", body, {"content-type": kind})
            assert answer.status == 200, answer.body
            good += 1
    unborn = server.score(json.dumps(json_forms(people.frame(1, age=-1))[0]).encode())
    assert people.secrets[-4].encode() in unborn.body  # MLflow tells the client, as it does without us
    misnamed = people.frame(1).rename(columns={"email": "e-mail"})
    assert server.score(json.dumps(json_forms(misnamed)[1]).encode()).status == 400
    assert server.score(b"planted" + people.secrets[0].encode()).status == 400
    extra = people.frame(1).assign(comment=people.secrets[0])
    assert server.score(json.dumps(json_forms(extra)[0]).encode()).status == 200
    header, row = people.frame(1).to_csv(index=False).splitlines()
    short = f"{header},comment\n{row}\n".encode()  # a row that is shorter than its header, which pandas reads
    assert server.ask("POST", "/invocations", short, {"content-type": "text/csv"}).status == 200
    assert server.metric("driftline_scorer_tee_withheld_invocations_total") == 1
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert found_in(tmp_path / "ring", people.secrets) == set()
    shutil.copy(server.log, tmp_path / "home")
    assert found_in(tmp_path / "home", people.secrets) == set()

    engine = open_engine(store_url)
    Loader(engine, server.spool_folder, LoaderSettings(raw_bodies="all")).load_once()
    with engine.connect() as connection:
        statuses = list(connection.scalars(select(schema.invocation.c.status).order_by(schema.invocation.c.id)))
        rows = connection.execute(text("SELECT * FROM inference_echo")).mappings().all()
        assert connection.execute(select(schema.dead_letter)).all() == []
    assert statuses == [200] * good + [400] * 3 + [200] * 2
    assert len(rows) == 3 * good + 1
    assert "name" not in rows[0]
    assert {len(row["email"]) for row in rows} == {24}
    assert {row["iban"] for row in rows} == {"***AN77"}
    assert {row["prediction"] for row in rows} == {"for ***", "nobody"}
    assert all(check.agrees for check in verify(engine))
    if engine.dialect.name == "postgresql":
        cluster: servers.PostgreSQL = request.getfixturevalue("postgresql_server")
        plain = store_url.replace("+psycopg", "")
        dump = subprocess.run([cluster.bin / "pg_dump", plain], check=True, capture_output=True).stdout
        (tmp_path / "home" / "dump.sql").write_bytes(dump)
    else:
        for file in tmp_path.glob("driftline.sqlite*"):
            shutil.copy(file, tmp_path / "home")
    engine.dispose()
    assert found_in(tmp_path / "home", people.secrets) == set()
