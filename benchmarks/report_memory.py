"""The memory of `driftline report` over a window of millions of rows: the peak of the whole process tree.

    python benchmarks/report_memory.py [--rows 2000000] [--columns 60] [--texts 0] [--labelled 0.05]

Fills a SQLite store with drawn rows, their profiles and some labels, then has a process of its own make the report,
Evidently's child included, and adds up the resident memory of that process and its children every 20 ms. Prints one
JSON object: peak in MiB (and of the largest process, by the system's own account), wall and processor seconds, rows of
the sample and what is left out. Exits with 1 where the peak is over 1.5 GB.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson
from sqlalchemy import Engine, insert

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.training.reference_sample import draw_sample, keep_sample
from driftline.store import migrate, schema
from driftline.store.engine import open_engine, writing
from driftline.store.loader.bulk import insert_rows
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.reference import build_reference
from driftline.store.profile_levels import MINUTE, bucket_values, floor
from driftline.store.records import ModelIdentity, new_invocation_id, now_us
from driftline.store.references import save_reference

SEED = 960_001
BLOCK_ROWS, ROWS_A_REQUEST = 20_000, 10
REFERENCE_ROWS = 50_000
CATEGORIES = 50
MOST_BYTES = 1.5e9


def drawn(block: int, rows: int, names: list[str], texts: int, moved: float) -> dict[str, np.ndarray]:
    """Return a block's rows, which its number alone decides: every tenth column moved, the first ones of texts."""
    rng = np.random.default_rng([SEED, block])
    cells = {name: rng.standard_normal(rows) + (moved if i % 10 == 0 else 0.0) for i, name in enumerate(names)}
    categories = np.array([f"one category of many, number {i}" for i in range(-CATEGORIES, CATEGORIES)], object)
    for name in names[:texts]:
        places = np.round(cells[name] * CATEGORIES / 4).astype(int) + CATEGORIES
        cells[name] = categories[np.clip(places, 0, 2 * CATEGORIES - 1)]
    return cells


def fill(engine: Engine, home: Path, rows: int, columns: int, texts: int, labelled: float) -> None:
    """Write version, reference, rows, profiles and labels; the rows lie within the last six days."""
    types = ["string" if i < texts else "double" for i in range(columns)]
    inputs = [{"name": f"c{i}", "type": kind, "required": True} for i, kind in enumerate(types)]
    signature = {"inputs": orjson.dumps(inputs).decode(), "outputs": '[{"type": "double", "required": true}]'}
    identity = ModelIdentity(name="wide", version="1", uri="models:/wide/1", signature=signature)
    now = now_us()
    with writing(engine) as connection:
        version = ensure_model_version(connection, identity)
    names = [c.column_name for c in version.columns]
    data = drawn(-1 % 2**32, REFERENCE_ROWS, names, texts, 0.0)
    made_at_us = now - 8 * 86_400_000_000
    reference = calibrate(build_reference(version.columns, data, source="drawn rows", made_at_us=made_at_us))
    with writing(engine) as connection:
        reference_id = save_reference(connection, version.id, reference)
    keep_sample(home, reference, draw_sample(data))
    blocks = rows // BLOCK_ROWS
    for block in range(blocks):
        at = now - (block + 1) * (6 * 86_400_000_000 // blocks)
        values = drawn(block, BLOCK_ROWS, names, texts, 0.4)
        profile = reference.empty_profile()
        profile.add(values, BLOCK_ROWS)
        requests = BLOCK_ROWS // ROWS_A_REQUEST
        keys = [new_invocation_id(at) for _ in range(requests)]
        ids = np.repeat(np.frombuffer(b"".join(keys), "V16"), ROWS_A_REQUEST)
        zeros = np.zeros(BLOCK_ROWS, np.int64)
        cells = {
            "invocation_id": ids, "row_index": np.tile(np.arange(ROWS_A_REQUEST), requests), "received_at": zeros + at,
            "model_version_id": zeros + version.id, "arm": zeros, **values,
        }  # fmt: skip
        bucket = bucket_values((version.id, reference_id, 0), MINUTE, floor(at, MINUTE), f"writer {block}")
        with writing(engine) as connection:
            insert_rows(connection, version.table, cells, BLOCK_ROWS)
            row = {**bucket, "row_count": BLOCK_ROWS, "counts": profile.to_bytes()}
            connection.execute(insert(schema.profile), [row])
            answered = {
                "received_at": at, "model_version_id": version.id, "arm": 0, "status": 200, "row_count": ROWS_A_REQUEST,
                "latency_us": 0, "parse_us": 0, "predict_us": 0, "encode_us": 0,
            }  # fmt: skip
            connection.execute(insert(schema.invocation), [{"id": key, **answered} for key in keys])
            known = int(BLOCK_ROWS * labelled)
            if known:
                truth = {
                    "invocation_id": ids[:known], "row_index": cells["row_index"][:known],
                    "value": [repr(float(v)) for v in values[names[texts]][:known]],
                    "event_at": zeros[:known] + at, "received_at": zeros[:known] + at,
                }  # fmt: skip
                insert_rows(connection, schema.label, truth, known)


def tree_bytes(pid: int) -> int:
    """Return the resident memory of a process and all below it, shared pages counted in each."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return resident + sum(tree_bytes(int(child)) for child in children)


def main() -> int:
    """Fill, report, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--columns", type=int, default=60)
    parser.add_argument("--texts", type=int, default=0, help="so many of the columns hold texts")
    parser.add_argument("--labelled", type=float, default=0.05)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as place:
        home, url = Path(place), f"sqlite:///{place}/driftline.sqlite"
        engine = open_engine(url)
        migrate.upgrade(engine)
        began = time.perf_counter()
        fill(engine, home, given.rows, given.columns, given.texts, given.labelled)
        engine.dispose()
        filling, began = time.perf_counter() - began, time.perf_counter()
        out = home / "report.json"
        command = [sys.executable, "-m", "driftline.cli", "report", "wide", "--json", str(out)]
        process = subprocess.Popen([*command, "--home", str(home), "--store", url], stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        made = json.loads(out.read_text())
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "rows": made["window"]["rows"], "columns": given.columns + 1, "peak_mib": round(peak / 2**20),
        "largest_process_mib": round(used.ru_maxrss / 2**10),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "report_seconds": round(seconds, 1), "fill_seconds": round(filling, 1), "sample_rows": made["sample"]["rows"],
        "labelled_rows": made["sample"]["labelled_rows"], "files": made["files"], "notes": made["notes"],
        "labelled_in_metrics": max((m["labelled_rows"] for m in made["arms"][0]["performance"]), default=0),
        "left_out": len(made["left_out"]), "verdict": made["verdict"],
    }  # fmt: skip
    print(json.dumps(found))
    return int(peak > MOST_BYTES or process.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
