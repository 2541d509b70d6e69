"""The proxy of a URL, by the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case.

REST and both websocket transports ask here, so that they agree. Loopback is never reached through a proxy.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize

VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "http": ("http_proxy", "all_proxy", "socks_proxy"),
    "https": ("https_proxy", "all_proxy", "socks_proxy"),
    "ws": ("ws_proxy", "http_proxy", "all_proxy", "socks_proxy"),
    "wss": ("wss_proxy", "https_proxy", "all_proxy", "socks_proxy"),
}
_SCHEMES: Final[Mapping[str, str]] = {
    "http": "http",
    "https": "https",
    "socks5": "socks5",  # names are resolved by the proxy, with or without the h
    "socks5h": "socks5",
    "socks": "socks5",  # as desktops write it
}
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SOCKS_PACKAGES: Final = ("socksio", "python_socks")  # of REST, and of websockets
_ALLOWED: Final = "http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"


@dataclass(frozen=True, slots=True)
class Proxy:
    """`variable` is the name under which the environment has it."""

    scheme: str
    host: str
    port: int
    credentials: str  # user:password as in a URL, or empty
    variable: str

    @property
    def url(self) -> str:
        """The URL with its password, for the libraries."""
        return f"{self.scheme}://{self.credentials}{'@' if self.credentials else ''}{_authority(self.host, self.port)}"

    @property
    def socks(self) -> bool:
        return self.scheme == "socks5"

    def __str__(self) -> str:
        """The proxy without its password, for messages."""
        return f"proxy {self.scheme}://{_authority(self.host, self.port)} ({self.variable})"


def proxy_of(url: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy through which `url` is reached; None where the connection is direct.

    Raises UsageError, with the name of the variable, if the environment names a proxy that cannot be used.
    """
    environ = os.environ if environ is None else environ
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    for variable, value in _named_proxies(parts.scheme, environ):
        if _is_excluded(host, parts.port or _DEFAULT_PORTS.get(parts.scheme, 0), environ):
            return None
        return _parse_proxy(variable, value)
    return None


def environment_proxies(environ: Mapping[str, str] | None = None) -> Iterator[Proxy]:
    """Every proxy that the environment names for the web or for websockets. Raises UsageError at one of no use."""
    environ = os.environ if environ is None else environ
    named = (pair for scheme in VARIABLES for pair in _named_proxies(scheme, environ))
    for variable, value in dict(named).items():
        yield _parse_proxy(variable, value)


def is_loopback(host: str) -> bool:
    """True for names and addresses of this machine."""
    name = host.lower().strip("[]").rstrip(".")
    if not name or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _named_proxies(scheme: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Variables and their values, the first one counts; an empty one of lower case cancels that of upper case."""
    for name in VARIABLES.get(scheme, ()):
        for variable in (name, name.upper()):
            if variable in environ:
                if value := environ[variable].strip():
                    yield variable, value
                break


def _parse_proxy(variable: str, value: str) -> Proxy:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        scheme, host = _SCHEMES.get(parts.scheme), parts.hostname
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 1080)
    except ValueError:  # a port that is no number, or half an IPv6 address
        scheme = host = None
        port = 0
    if scheme is None or not host:
        found = "a value with a password" if "@" in value else repr(sanitize(value, 60))
        raise UsageError(f"{variable} is {found}, allowed: {_ALLOWED}, or nothing for no proxy")
    credentials = parts.netloc.rpartition("@")[0]
    proxy = Proxy(scheme, host, port, credentials + ":" * (bool(credentials) and ":" not in credentials), variable)
    if proxy.socks and any(find_spec(name) is None for name in _SOCKS_PACKAGES):
        raise UsageError(f"{proxy}: SOCKS needs an extra: pip install 'dfmon[socks]'; an HTTP proxy needs none")
    return proxy


def _is_excluded(host: str, port: int, environ: Mapping[str, str]) -> bool:
    """True if NO_PROXY lists the host: a name with its subdomains, an address or a network, with or without a port."""
    listed = environ.get("no_proxy", environ.get("NO_PROXY", ""))
    return any(_matches(entry.lower(), host.lower(), port) for entry in re.split(r"[\s,]+", listed) if entry)


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if match := re.fullmatch(r"(\[.*\]|[^:]*):(\d+)", entry):
        if int(match[2]) != port:
            return False
        entry = match[1]
    entry = entry.strip("[]")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except (ValueError, TypeError):
        name = entry.removeprefix("*").lstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))


def authority_of(url: str) -> str:
    """Host and port of a URL, without a login: the gateways of several venues on one host differ in their ports.

    >>> authority_of("wss://user:secret@venue.test:8443/ws?key=secret")
    'venue.test:8443'
    """
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
