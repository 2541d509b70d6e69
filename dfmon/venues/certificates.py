"""The certificates that servers are checked against: those that the environment names, else the system's, else certifi.

SSL_CERT_FILE, SSL_CERT_DIR, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE hold for REST and for websockets alike.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import certifi

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize

FILE_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
FOLDER_VARIABLE: Final = "SSL_CERT_DIR"


def tls_context(environ: Mapping[str, str] | None = None) -> ssl.SSLContext:
    """The context of TLS connections, made once. Raises UsageError, with the variable and the path it has."""
    environ = os.environ if environ is None else environ
    file = next(((name, environ[name]) for name in FILE_VARIABLES if environ.get(name)), None)
    folder = environ.get(FOLDER_VARIABLE)
    return _make_context(file, folder)


def check_certificates(environ: Mapping[str, str] | None = None) -> None:
    """Reads the certificates that the environment names, if it names any. Raises UsageError like `tls_context`."""
    environ = os.environ if environ is None else environ
    if any(environ.get(name) for name in (*FILE_VARIABLES, FOLDER_VARIABLE)):
        tls_context(environ)


@lru_cache(4)  # reading some hundred certificates takes a tenth of a second
def _make_context(file: tuple[str, str] | None, folder: str | None) -> ssl.SSLContext:
    sources = [file] if file else [(FOLDER_VARIABLE, folder)] if folder else []
    if not sources:
        return _default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for variable, text in sources:
        path = Path(text)
        try:
            if path.is_dir():
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except ssl.SSLError:
            _refuse(variable, text, "not a file of certificates")
        except OSError as exc:
            _refuse(variable, text, (exc.strerror or str(exc)).lower())
    return context


def _refuse(variable: str, path: str, reason: str) -> None:
    raise UsageError(
        f"{variable} is {sanitize(path)}: {reason}; allowed: a file of PEM certificates, or a folder of them, or unset"
    )


def _default_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    folder = ssl.get_default_verify_paths().capath
    has_folder = folder is not None and next(Path(folder).glob("*"), None) is not None
    if not context.cert_store_stats()["x509_ca"] and not has_folder:
        context.load_verify_locations(certifi.where())
    return context
