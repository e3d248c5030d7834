"""The metrics port in threads of this process: many clients, slow ones among them."""

import socket
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from certificates import Authority
from guarded_servers import client_context
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from driftline.scorer.metrics_server import start_metrics_server
from driftline.scorer.settings import ScorerSettings
from driftline.scorer.tls import server_context
from driftline.store.errors import DriftlineError


class One(Collector):
    """One gauge."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("one", "It is one.", value=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def _scrape(url: str, context: ssl.SSLContext | None = None) -> str:
    with urllib.request.urlopen(url, timeout=60, context=context) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_says_nothing_keeps_no_other_waiting(authority: Authority, tls: bool) -> None:
    pair = authority.issue("server")
    settings = ScorerSettings(tls_certfile=pair.certificate, tls_keyfile=pair.key) if tls else ScorerSettings()
    port = servers.free_port()
    with start_metrics_server(One(), "127.0.0.1", port, server_context(settings)):
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        url = f"http{'s' if tls else ''}://127.0.0.1:{port}/metrics"
        assert "one 1.0" in _scrape(url, client_context(authority) if tls else None)
        for connection in silent:
            connection.close()


def test_plain_http_on_a_tls_port_gets_nothing_and_ends_nothing(
    authority: Authority, capfd: pytest.CaptureFixture[str]
) -> None:
    pair = authority.issue("server")
    context = server_context(ScorerSettings(tls_certfile=pair.certificate, tls_keyfile=pair.key))
    port = servers.free_port()
    with start_metrics_server(One(), "127.0.0.1", port, context):
        with pytest.raises(OSError):  # noqa: PT011 - a reset or an end, as the kernel likes
            _scrape(f"http://127.0.0.1:{port}/metrics")
        assert "one 1.0" in _scrape(f"https://127.0.0.1:{port}/metrics", client_context(authority))
    assert capfd.readouterr() == ("", "")


def test_it_listens_on_ipv6_too() -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    port = servers.free_port()
    with start_metrics_server(One(), "::1", port):
        assert "one 1.0" in _scrape(f"http://[::1]:{port}/metrics")


def test_a_taken_port_is_one_line_with_the_flag() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with (
            pytest.raises(DriftlineError, match=f"port {port} .*--metrics-port"),
            start_metrics_server(One(), "127.0.0.1", port),
        ):
            pass
