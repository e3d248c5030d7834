"""Traffic goes on while servers come and go, and labels wait for the monitor."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import servers

from driftline.cli.demo.lasting_traffic import LastingTraffic
from driftline.cli.demo.population import TARGET

ROWS = pd.DataFrame({"lncoins": [0.0, 3.2], TARGET: [1, 0]})


@contextmanager
def answering(port: int) -> Iterator[list[tuple[str, object]]]:
    """Run a server that answers every request with 200 and an id; yield what it is asked."""
    asked: list[tuple[str, object]] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            self.send_response(200)
            self.send_header("x-driftline-invocation-id", f"id-{len(asked)}")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


def test_rows_are_sent_without_their_labels_which_follow_when_they_are_ripe_and_the_monitor_is_there() -> None:
    scorer, monitor, now = servers.free_port(), servers.free_port(), [100.0]
    traffic = LastingTraffic(f"http://127.0.0.1:{scorer}", f"http://127.0.0.1:{monitor}", lambda: now[0])
    assert traffic.send(ROWS) is None
    with answering(scorer) as asked:
        assert traffic.send(ROWS) == 200
        traffic.close()
    (request,) = asked
    assert request == ("/invocations", {"dataframe_split": {"columns": ["lncoins"], "data": [[0.0], [3.2]]}})
    assert traffic.answers() == "1 x 200, 1 x none"
    now[0] += 31
    assert traffic.post_ripe_labels() == 0, "the monitor is away"
    with answering(monitor) as told:
        now[0] -= 10
        assert traffic.post_ripe_labels() == 0, "they are not old enough"
        now[0] += 10
        assert traffic.post_ripe_labels() == 2
        assert traffic.post_ripe_labels() == 0, "they were taken"
    labels = [{"request_id": "id-1", "row": row, "label": label} for row, label in enumerate((1, 0))]
    assert told == [("/labels", labels)]
