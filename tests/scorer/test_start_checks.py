"""Limits and tokens that make no sense stop the start, in one line."""

import socket
import subprocess
from pathlib import Path

import pytest
from scoring_servers import BIN, environment

from driftline.scorer.settings import ScorerSettings
from driftline.scorer.start_checks import check_limits, check_port, check_ports, open_tokens
from driftline.store.errors import ConfigurationError, DriftlineError


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_body_bytes": -1}, "max_body_bytes .* found -1"),
        ({"rate_limit_per_second": -0.5}, "rate_limit_per_second .* found -0.5"),
        ({"rate_limit_per_second": float("nan")}, "rate_limit_per_second .* found nan"),
        ({"rate_limit_per_second": float("inf")}, "rate_limit_per_second .* found inf"),
        ({"rate_limit_per_second": 1.0, "rate_limit_burst": -1}, "rate_limit_burst .* found -1"),
        ({"rate_limit_burst": 5}, "--rate-limit-per-second"),
        ({"protect_health": True}, "--token-file"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_limits(ScorerSettings(**settings))  # type: ignore[arg-type]


def test_the_defaults_and_no_limit_at_all_are_taken() -> None:
    check_limits(ScorerSettings())
    check_limits(ScorerSettings(max_body_bytes=0, rate_limit_per_second=0.01, rate_limit_burst=3))


@pytest.mark.parametrize(
    ("host", "port", "flag", "words"),
    [
        ("127.0.0.1", 99_999, "--metrics-port", "port 99999 is none: choose one .* `--metrics-port`"),
        ("nohost.invalid", 5000, "-p", "the host nohost.invalid is no address .* correct `-h`"),
        ("nohost.invalid", 9107, "--metrics-port", "correct `--metrics-host`, or `-h` where that is not set"),
        ("203.0.113.1", 5000, "-p", "the host 203.0.113.1 is no address of this machine .* correct `-h`"),
    ],
)
def test_what_is_wrong_with_an_address_names_the_flag_of_its_cause(host: str, port: int, flag: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_port(host, port, flag)


def test_a_taken_port_names_the_flag_of_the_port() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(DriftlineError, match="stop what listens there or choose another with `-p`"):
            check_port("127.0.0.1", listener.getsockname()[1], "-p")


def test_all_taken_ports_are_told_in_one_line() -> None:
    with socket.socket() as scoring, socket.socket() as metrics:
        ports = []
        for listener, flag in ((scoring, "-p"), (metrics, "--metrics-port")):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            ports.append(("127.0.0.1", int(listener.getsockname()[1]), flag))
        with pytest.raises(DriftlineError) as told:
            check_ports(ports)
        assert told.value.exit_code == 1, "nothing that was typed is wrong"
        for _, port, flag in ports:
            assert f"port {port} of 127.0.0.1 cannot be opened (Address already in use)" in str(told.value)
            assert f"choose another with `{flag}`" in str(told.value)
    check_ports([])


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o600, False)])
def test_a_token_file_that_everybody_can_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    file = tmp_path / "tokens"
    file.write_text("alice:Secret\n")
    file.chmod(mode)
    assert open_tokens(file, "--token-file") is not None
    assert [f"chmod o-r {file}" in record.getMessage() for record in caplog.records] == [True] * warned
    assert "Secret" not in caplog.text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--token-file", "{tmp}/nothing"), "`--token-file`"),
        (("--metrics-token-file", "{tmp}"), "`--metrics-token-file`"),
        (("--tls-certfile", "{tmp}/nothing", "--tls-keyfile", "{tmp}/nothing"), "`--tls-certfile`"),
        (("--tls-certfile", "{tmp}/nothing"), "`--tls-keyfile`"),
    ],
)
def test_the_command_line_refuses_files_that_are_not_there_in_one_line(
    tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    done = subprocess.run(
        [BIN / "driftline", "serve", "-m", str(tmp_path), *(flag.format(tmp=tmp_path) for flag in flags)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(tmp_path, DRIFTLINE_SCORER_METRICS_PORT="0"),
        timeout=120,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("driftline: ")
    assert words in line
