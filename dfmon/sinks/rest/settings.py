"""Settings and limits of the REST service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dfmon.model.errors import UsageError

MIN_TOKEN: Final = 16  # letters
MAX_CONNECTIONS: Final = 1024
MAX_REQUESTS: Final = 112  # under way; streams have a limit of their own, and /healthz none
MAX_STREAMS: Final = 600  # server-sent events and websockets
MAX_HEADER_BYTES: Final = 16 << 10  # h11 refuses some more
MAX_BODY_BYTES: Final = 64 << 10  # no route reads one
MAX_MESSAGE_BYTES: Final = 4 << 10  # of a websocket client, whose messages are not read


@dataclass(frozen=True, slots=True)
class RestSettings:
    """Access and rate.

    With a `token` every request needs it, as `Authorization: Bearer TOKEN` or as the password of HTTP Basic. `hosts`
    are further names of this machine, and `origins` the pages whose scripts may read, such as "https://desk.example";
    "*" is any. `rate` is in requests a second of one client address, with bursts of twice as many.
    """

    token: str = ""
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    rate: float = 500.0

    def __post_init__(self) -> None:
        """Raises UsageError for a token that is too short or that no header can hold. Empty is no token."""
        token = self.token
        if token and (len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
            message = f"the token of the REST service must have {MIN_TOKEN} ASCII letters or more, without spaces"
            raise UsageError(message)
