"""Certificate and key of both ports: looked at before anything starts, then for uvicorn and the metrics server."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from driftline.scorer.settings import ScorerSettings
from driftline.store.errors import ConfigurationError


def server_context(settings: ScorerSettings) -> ssl.SSLContext | None:
    """Return the context of a server, None where no certificate is set.

    Raises:
        ConfigurationError: one file is missing, is not what it should be, or does not fit the other.
    """
    certificate, key, client_ca = settings.tls_certfile, settings.tls_keyfile, settings.tls_client_ca
    if certificate is None or key is None:
        if certificate or key or client_ca:
            raise ConfigurationError(
                "TLS needs a certificate and its key: name both, `--tls-certfile` and `--tls-keyfile`"
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _readable(certificate, "--tls-certfile")
    _readable(key, "--tls-keyfile")
    try:
        context.load_cert_chain(certificate, key, password=lambda: _no_passphrase(key))
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"{certificate} and {key} should be a PEM certificate and its key, and are not ({_reason(error)}): "
            "correct `--tls-certfile` or `--tls-keyfile`"
        ) from error
    if client_ca:
        _readable(client_ca, "--tls-client-ca")
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"{client_ca} should hold PEM certificates, and does not ({_reason(error)}): correct `--tls-client-ca`"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def uvicorn_flags(settings: ScorerSettings) -> Sequence[str]:
    """Return uvicorn's own flags for the same files."""
    if settings.tls_certfile is None:
        return ()
    flags = ["--ssl-certfile", str(settings.tls_certfile), "--ssl-keyfile", str(settings.tls_keyfile)]
    if settings.tls_client_ca:
        flags += ["--ssl-ca-certs", str(settings.tls_client_ca), "--ssl-cert-reqs", str(int(ssl.CERT_REQUIRED))]
    return flags


def _readable(path: Path, flag: str) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}): correct `{flag}`") from error


def _no_passphrase(key: Path) -> str:
    raise ConfigurationError(
        f"the key {key} is encrypted, and nobody is here to type its passphrase: name one that is not, "
        f"`openssl pkey -in {key} -out FILE` makes it"
    )


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "no PEM").lower().replace("_", " ")
