"""The address of a Redis: one server, the sentinels of a set, or the nodes of a cluster, with login and TLS.

    redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]
    unix://[[USER]:PASSWORD@]/PATH[?db=N]
    redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...][/SERVICE[/DB]]
    redis+cluster://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]

`rediss` in place of `redis` is TLS. Options behind `?` have the names of redis-py: ssl_ca_certs, ssl_certfile,
ssl_keyfile, ssl_check_hostname, and sentinel_username, sentinel_password for sentinels with a login of their own.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.sinks.secret_urls import mask_url, redact
from dfmon.venues.certificates import tls_context

SCHEMES: Final = (
    "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster",
)  # fmt: skip
URL_FORMS: Final = (
    "redis://[[user]:password@]host[:port][/db], rediss://… for TLS, unix:///path, "
    "redis+sentinel://host,host/service, redis+cluster://host,host"
)
_TLS_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
_OPTIONS: Final = {
    "single": _TLS_OPTIONS,
    "unix": ("db",),
    "sentinel": (*_TLS_OPTIONS, "sentinel_username", "sentinel_password"),
    "cluster": _TLS_OPTIONS,
}
_PORTS: Final = {"single": 6379, "sentinel": 26379, "cluster": 6379}

Topology = Literal["single", "unix", "sentinel", "cluster"]
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Login:
    """A user of the server's ACL; without a name the default user, without a password nobody."""

    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """A parsed URL. `nodes` are the server, the sentinels, or any nodes of the cluster; `path` is a Unix socket."""

    url: str = field(repr=False)
    topology: Topology
    nodes: tuple[Address, ...]
    path: str = ""
    database: int = 0
    service: str = ""
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: ssl.SSLContext | None = None

    @property
    def display_url(self) -> str:
        """The URL without login and options, for messages."""
        return mask_url(self.url)

    def redact(self, text: str) -> str:
        """A text that may quote the URL or a password, with neither."""
        for password in (self.login.password, self.sentinel_login.password):
            text = text.replace(password, "***") if password else text
        return redact(text, self.url)

    def with_login(self, user: str, password: str) -> RedisTarget:
        """The same place; user and password that the URL does not have are taken from here."""
        login = Login(self.login.user or user, self.login.password or password)
        return replace(self, login=login)


def parse_redis_url(url: str, ca_file: str = "", cert_file: str = "", key_file: str = "") -> RedisTarget:
    """The target of a URL; options of the URL override the files given here.

    Raises UsageError, which quotes nothing of the URL but its scheme, or the path of a certificate.
    """
    try:
        parts = urlsplit(url)
        scheme = parts.scheme
        if scheme not in SCHEMES or parts.fragment:
            raise ValueError
        topology: Topology = "unix" if scheme == "unix" else _topology(scheme)
        options = _read_options(parts, topology)
        target = _read_place(url, parts, topology, options)
    except ValueError:  # without the reason, which can quote a part of the password
        raise UsageError(f"redis: {_describe_scheme(url)} is invalid; allowed: {URL_FORMS}") from None
    if not scheme.startswith("rediss"):
        return target
    files = {"ssl_ca_certs": ca_file, "ssl_certfile": cert_file, "ssl_keyfile": key_file}
    return replace(target, tls=_tls_context({name: value for name, value in files.items() if value} | options))


def _topology(scheme: str) -> Topology:
    kind = scheme.partition("+")[2]
    return "sentinel" if kind == "sentinel" else "cluster" if kind == "cluster" else "single"


def _read_options(parts: SplitResult, topology: Topology) -> dict[str, str]:
    options = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
    if not options.keys() <= set(_OPTIONS[topology]):
        raise ValueError
    return options


def _read_place(url: str, parts: SplitResult, topology: Topology, options: Mapping[str, str]) -> RedisTarget:
    """The target without TLS. Raises ValueError for what is none."""
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    login = Login(unquote(user), unquote(password))
    if topology == "unix":
        if hosts or not parts.path:
            raise ValueError
        return RedisTarget(url, topology, (), unquote(parts.path), _database(options.get("db", "")), login=login)
    path = [unquote(part) for part in parts.path.strip("/").split("/") if part]
    service = (path.pop(0) if path else "mymaster") if topology == "sentinel" else ""
    nodes = tuple(_read_address(host, _PORTS[topology]) for host in hosts.split(","))
    if (topology == "single" and len(nodes) > 1) or len(path) > (topology != "cluster"):
        raise ValueError
    return RedisTarget(
        url,
        topology,
        nodes,
        database=_database(path[0] if path else ""),
        service=service,
        login=login,
        sentinel_login=Login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
    )


def _database(text: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise ValueError
    return int(text)


def _read_address(text: str, port: int) -> Address:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port == 0 or parts.username is not None:
        raise ValueError
    return parts.hostname, parts.port or port


def _tls_context(options: Mapping[str, str]) -> ssl.SSLContext:
    """The context of a TLS connection. Without a file of authorities those of the environment or the system count."""
    ca_file, cert_file = options.get("ssl_ca_certs"), options.get("ssl_certfile")
    if not ca_file and not cert_file and "ssl_check_hostname" not in options:
        return tls_context()
    path = ca_file or ""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        if cert_file:
            path = cert_file
            context.load_cert_chain(cert_file, options.get("ssl_keyfile") or None)
    except OSError as exc:  # ssl.SSLError is one
        reason = "no PEM file of that kind" if isinstance(exc, ssl.SSLError) else exc.strerror or str(exc)
        raise UsageError(f"redis: certificate {sanitize(path)}: {reason}") from None
    context.check_hostname = options.get("ssl_check_hostname", "true").lower() not in ("false", "0", "no")
    return context


def _describe_scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return f"the URL that starts with {sanitize(scheme, 30) + separator!r}" if separator else "a URL without redis://"
