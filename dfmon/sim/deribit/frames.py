"""Deribit's JSON-RPC responses, with the times that each carries."""

from __future__ import annotations

from collections.abc import Callable

from dfmon.sim.deribit.params import RpcError
from dfmon.sim.deribit.records import Record
from dfmon.sim.transport import encode


class Frames:
    """Encodes responses; `clock` is the venue's, ns."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock

    def now_us(self) -> int:
        """The venue's time, microseconds."""
        return self._clock() // 1_000

    def result(self, result: object, us_in: int, request_id: object = None) -> bytes:
        """The response to a request that came at `us_in`."""
        return self._respond({"result": result}, us_in, request_id)

    def error(self, error: RpcError, us_in: int, request_id: object = None) -> bytes:
        """The refusal of a request."""
        return self._respond({"error": error.body()}, us_in, request_id)

    def _respond(self, body: Record, us_in: int, request_id: object) -> bytes:
        head = {"jsonrpc": "2.0"} if request_id is None else {"jsonrpc": "2.0", "id": request_id}
        us_out = max(self.now_us(), us_in)
        return encode({**head, **body, "usIn": us_in, "usOut": us_out, "usDiff": us_out - us_in, "testnet": False})
