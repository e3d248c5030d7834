import socket
import threading
import time
from collections.abc import Iterator

import pytest
import servers

from driftline.store.errors import MlflowUnreachable
from driftline.store.tracking_server import require_listening, shown


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_server_that_listens_passes(listening: int) -> None:
    require_listening(f"http://127.0.0.1:{listening}/prefix", "MLFLOW_TRACKING_URI")


def test_where_nothing_listens_the_line_names_server_cause_and_variable_and_no_password() -> None:
    port = servers.free_port()
    with pytest.raises(MlflowUnreachable) as refused:
        require_listening(f"http://me:secret@127.0.0.1:{port}", "MLFLOW_REGISTRY_URI")
    assert str(refused.value) == (
        f"no MLflow answers at http://127.0.0.1:{port} (Connection refused): start it or correct MLFLOW_REGISTRY_URI"
    )


def test_a_name_that_nobody_knows_is_refused_without_patience() -> None:
    began = time.monotonic()
    with pytest.raises(MlflowUnreachable, match="nohost"):
        require_listening("http://nohost.invalid:5000", "MLFLOW_TRACKING_URI", patience_seconds=300)
    assert time.monotonic() - began < 150


def test_a_server_that_is_starting_is_waited_for() -> None:
    port = servers.free_port()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        starting = threading.Timer(0.3, listener.listen)
        starting.start()
        require_listening(f"http://127.0.0.1:{port}", "MLFLOW_TRACKING_URI", patience_seconds=60)
        starting.join()


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.sqlite", "file:///mlruns", "databricks", "/mlruns"])
def test_what_is_no_http_server_passes(uri: str) -> None:
    require_listening(uri, "MLFLOW_TRACKING_URI")


def test_a_server_that_a_proxy_asks_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    require_listening("http://mlflow.invalid:5000", "MLFLOW_TRACKING_URI")


def test_a_port_that_is_none_is_one_line() -> None:
    with pytest.raises(MlflowUnreachable, match="write http://host:port"):
        require_listening("http://127.0.0.1:99999", "MLFLOW_TRACKING_URI")


def test_a_uri_is_shown_without_user_and_password() -> None:
    assert shown("https://me:secret@host:5000/x") == "https://host:5000/x"
    assert shown("models:/name@champion") == "models:/name@champion"
