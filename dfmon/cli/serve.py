"""`dfmon serve`: the same screen in a browser, one dfmon for each page (extra `serve`)."""

from __future__ import annotations

import argparse
from typing import Final

from dfmon.config import Config
from dfmon.model.errors import EXIT_OK, UsageError
from dfmon.model.units import sanitize
from dfmon.runtime import composition

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]", "::1")
MIN_TOKEN_LENGTH: Final = 16
_PASSED_ON: Final = ("currency", "positions", "numeraire", "stickiness", "tick", "config", "palette", "icons", "rate")


def run(args: argparse.Namespace, config: Config) -> int:
    """Serves until a signal ends it. Raises UsageError without the extra, or without a token beyond loopback."""
    host, port = _address(args.listen)
    token = composition.read_rest_token(config.publish)
    if host not in LOOPBACK and len(token) < MIN_TOKEN_LENGTH:
        raise UsageError(
            f"--listen {sanitize(args.listen, 60)} is open to others, allowed: 127.0.0.1:PORT, or a token of at "
            f"least {MIN_TOKEN_LENGTH} characters in DFMON_PUBLISH_REST_TOKEN or publish.rest_token_file"
        )
    try:
        from dfmon.runtime.screen_server import ScreenServer
    except ModuleNotFoundError as error:
        raise UsageError(f"dfmon serve needs {error.name}; pip install 'dfmon[serve]'") from None
    ScreenServer(monitor_arguments(args), host.strip("[]"), port, token).serve()
    return EXIT_OK


def monitor_arguments(args: argparse.Namespace) -> list[str]:
    """The command line of the dfmon behind each page."""
    source = args.source
    command = [] if source is None else ["demo"] if source == "demo" else ["replay", source]
    if source is not None and "://" in source:
        command = ["attach", source]
    values = {name: getattr(args, name) for name in _PASSED_ON if hasattr(args, name)}
    return [*command, *(text for name, value in values.items() for text in (f"--{name}", str(value)))]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise UsageError(f"--listen is {sanitize(text, 60)!r}, allowed: HOST:PORT such as 127.0.0.1:8780")
    return host, int(port)
