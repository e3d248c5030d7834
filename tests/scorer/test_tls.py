"""Certificates and keys that are missing, or do not fit, are found before anything starts."""

import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest
from certificates import Authority, Pair

from driftline.scorer.settings import ScorerSettings
from driftline.scorer.tls import server_context, uvicorn_flags
from driftline.store.errors import ConfigurationError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    text = folder / "text"
    text.write_text("no certificate\n")
    return SimpleNamespace(
        ca=authority.certificate,
        one=authority.issue("one"),
        two=authority.issue("two"),
        locked=authority.issue("locked", b"a passphrase"),
        text=text,
        missing=folder / "missing",
    )


def _settings(pair: Pair, client_ca: Path | None = None) -> ScorerSettings:
    return ScorerSettings(tls_certfile=pair.certificate, tls_keyfile=pair.key, tls_client_ca=client_ca)


def test_without_a_certificate_there_is_no_tls() -> None:
    assert server_context(ScorerSettings()) is None
    assert list(uvicorn_flags(ScorerSettings())) == []


def test_uvicorn_gets_the_same_files(files: SimpleNamespace) -> None:
    assert list(uvicorn_flags(_settings(files.one))) == [
        "--ssl-certfile", str(files.one.certificate), "--ssl-keyfile", str(files.one.key),
    ]  # fmt: skip
    assert list(uvicorn_flags(_settings(files.one, files.ca)))[4:] == [
        "--ssl-ca-certs", str(files.ca), "--ssl-cert-reqs", "2",
    ]  # fmt: skip


def test_a_clients_certificate_is_asked_for_where_an_authority_is_named(files: SimpleNamespace) -> None:
    for client_ca, mode in ((None, ssl.CERT_NONE), (files.ca, ssl.CERT_REQUIRED)):
        context = server_context(_settings(files.one, client_ca))
        assert context is not None
        assert context.verify_mode is mode


@pytest.mark.parametrize("field", ["tls_certfile", "tls_keyfile", "tls_client_ca"])
def test_one_file_alone_is_refused(files: SimpleNamespace, field: str) -> None:
    with pytest.raises(ConfigurationError, match="name both, `--tls-certfile` and `--tls-keyfile`"):
        server_context(ScorerSettings(**{field: files.one.certificate}))


@pytest.mark.parametrize(
    ("certificate", "key", "client_ca", "words"),
    [
        ("missing", "one", None, "No such file.*--tls-certfile"),
        ("one", "missing", None, "No such file.*--tls-keyfile"),
        ("one", "one", "missing", "No such file.*--tls-client-ca"),
        ("one", "two", None, "key values mismatch"),
        ("text", "one", None, "--tls-certfile"),
        ("one", "text", None, "--tls-keyfile"),
        ("one", "one", "text", "--tls-client-ca"),
        ("locked", "locked", None, "encrypted"),
    ],
)
def test_files_that_are_missing_or_do_not_fit_are_told_in_one_line(
    files: SimpleNamespace, certificate: str, key: str, client_ca: str | None, words: str
) -> None:
    def file(name: str, part: str) -> Path:
        found = getattr(files, name)
        return getattr(found, part) if isinstance(found, Pair) else found

    authority = None if client_ca is None else (files.ca if client_ca == "one" else getattr(files, client_ca))
    settings = ScorerSettings(
        tls_certfile=file(certificate, "certificate"), tls_keyfile=file(key, "key"), tls_client_ca=authority
    )
    with pytest.raises(ConfigurationError, match=words) as error:
        server_context(settings)
    assert "\n" not in str(error.value)
