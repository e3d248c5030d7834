"""No Grafana: a server that answers Grafana's health check, so that the order of a start can be seen."""

import http.server


class Health(http.server.BaseHTTPRequestHandler):
    """Answer ``/api/health`` as Grafana does, and 404 to all else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
        self.wfile.write(b'{"database": "ok", "stand_in": true}')

    do_HEAD = do_GET


http.server.ThreadingHTTPServer(("0.0.0.0", 3000), Health).serve_forever()
