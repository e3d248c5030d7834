"""What it takes to redact the bodies of a request, beside making the record of the same request as it came.

    python benchmarks/redaction.py

A table of six inputs, of which one is hashed, one dropped and one masked. Microseconds a request, medians of rounds.
"""

import io
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from driftline.scorer.redacted_bodies import RedactedBodies
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id
from driftline.store.redaction import Redaction

ROUNDS, SECONDS = 3, 0.2
TYPES = {"email": "string", "name": "string", "iban": "string", "age": "double", "income": "double", "visits": "long"}
SIGNATURE = {"inputs": json.dumps([{"type": t, "name": n, "required": True} for n, t in TYPES.items()])}


def frame(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    texts = {name: [f"{name}-{i:08d}@example.org" for i in range(rows)] for name in ("email", "name", "iban")}
    numbers = {"age": rng.normal(40, 10, rows), "income": rng.normal(0, 1, rows), "visits": rng.integers(0, 9, rows)}
    return pd.DataFrame({**texts, **numbers})


def bodies(rows: int) -> dict[str, tuple[bytes, bytes]]:
    data = frame(rows)
    parquet = io.BytesIO()
    data.to_parquet(parquet)
    split = json.dumps({"dataframe_split": data.to_dict(orient="split", index=False)}).encode()
    records = json.dumps({"dataframe_records": data.to_dict(orient="records")}).encode()
    return {
        "split": (b"application/json", split),
        "records": (b"application/json", records),
        "csv": (b"text/csv", data.to_csv(index=False).encode()),
        "parquet": (b"application/vnd.apache.parquet", parquet.getvalue()),
    }


def microseconds(work: Callable[[], object]) -> float:
    found = []
    for _ in range(ROUNDS):
        count, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < SECONDS:
            work()
            count += 1
        found.append(spent / count * 1e6)
    return statistics.median(found)


def main() -> None:
    redaction = Redaction({"email": "hash", "name": "drop", "iban": "mask"}, b"0" * 32)
    redacted = RedactedBodies(redaction, ModelIdentity("m", "1", "models:/m/1", signature=SIGNATURE))
    print(f"{'form':10}{'rows':>6}{'record us':>12}{'redact us':>12}")
    for rows in (1, 100):
        answer = json.dumps({"predictions": [0.5] * rows}).encode()
        for form, (kind, body) in bodies(rows).items():
            made = Invocation(new_invocation_id(0), 0, 200, Arm.CHAMPION, 1, kind, b"", body, answer)
            record = microseconds(made.pack)
            redact = microseconds(partial(redacted.of, 200, kind, body, answer))
            print(f"{form:10}{rows:6}{record:12.1f}{redact:12.1f}")


if __name__ == "__main__":
    main()
