"""uvicorn's command line, started by the parent: ``python -m driftline.scorer.uvicorn_program ARGUMENTS ...``.

With several workers uvicorn asks each for a sign of life over a pipe. It keeps the worker's end of it open, so that the
answer of a worker that was killed just then is awaited for the whole of ``--timeout-worker-healthcheck``; until then no
other worker is started and SIGTERM is not obeyed. Here uvicorn closes that end once the worker has it, and reads the
end of the pipe instead.

Where it cannot start another worker (no memory, no descriptors), uvicorn fails, and then waits for ever for the workers
that are left. Here they are asked to end.
"""

import multiprocessing
from collections.abc import Callable

import uvicorn
from uvicorn.supervisors.multiprocess import Process


def let_go_of_the_workers_end() -> None:
    """Have uvicorn close the end of each pipe that it has handed to a worker."""
    start: Callable[[Process], None] = Process.start

    def start_and_close(process: Process) -> None:
        start(process)
        process.child_conn.close()

    Process.start = start_and_close  # type: ignore[assignment, method-assign]


if __name__ == "__main__":  # a worker imports this module under another name
    let_go_of_the_workers_end()
    try:
        uvicorn.main(prog_name="uvicorn")
    finally:
        for worker in multiprocessing.active_children():
            worker.terminate()
