"""A function's runtime: takes events, one JSON document a line, and prints what the handler returns.

``function_host.py HANDLER``. What a cloud does beyond that, freezing and ending the process, the test does.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path


class Context:
    """What the handler is told of its time: 10 s from the event on."""

    def __init__(self) -> None:
        self._end = time.monotonic() + 10

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self._end - time.monotonic()))


def main(path: Path) -> None:
    spec = importlib.util.spec_from_file_location("handler", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        answer = module.handler(json.loads(line), Context())
        print(json.dumps({**answer, "seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
