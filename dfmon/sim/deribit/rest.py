"""Deribit over HTTP: a method by GET with its parameters in the query, or JSON-RPC by POST."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec

from dfmon.sim.deribit.client_session import RequestCredits
from dfmon.sim.deribit.frames import Frames
from dfmon.sim.deribit.params import Params, RpcError
from dfmon.sim.transport import RestResponse

MAX_FRAME: Final = 32_768  # bytes of a request, also over websocket
PREFIX: Final = "/api/v2"
_ARCHIVE_METHOD_PREFIX: Final = "public/get_last_trades_by_"  # of the archive's host, whose limits are not published


class DeribitRest:
    """Answers calls with `call`, within the credits of one address."""

    def __init__(self, call: Callable[[str, Params], object], frames: Frames, timer_speedup: float) -> None:
        self._call, self._frames, self._timer_speedup = call, frames, timer_speedup
        self._credits: RequestCredits | None = None

    def get(self, path: str, query: Params) -> RestResponse:
        """A method by its path."""
        return self._respond(path.removeprefix(f"{PREFIX}/"), query, None)

    def post(self, path: str, body: bytes) -> RestResponse:
        """A request of JSON-RPC; the path may repeat its method."""
        us_in = self._frames.now_us()
        if len(body) > MAX_FRAME:
            return self._refuse(RpcError(-32600, "Request entity too large"), us_in, None)
        try:
            request = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._refuse(RpcError(11050, "bad_request", "invalid json"), us_in, None)
        method = request.get("method") if isinstance(request, dict) else None
        if not isinstance(method, str) or not path.startswith(PREFIX):
            return self._refuse(RpcError(-32600, "Invalid Request"), us_in, None)
        params, request_id = request.get("params") or {}, request.get("id")
        if not isinstance(params, dict):
            return self._refuse(RpcError(-32602, "Invalid params"), us_in, request_id)
        return self._respond(method, params, request_id)

    def _respond(self, method: str, params: Params, request_id: object) -> RestResponse:
        us_in, now = self._frames.now_us(), asyncio.get_running_loop().time()
        self._credits = self._credits or RequestCredits(now, self._timer_speedup, websocket=False)
        if not method.startswith(_ARCHIVE_METHOD_PREFIX) and not self._credits.consume(method, now):
            return self._refuse(RpcError(10028, "too_many_requests"), us_in, request_id)
        try:
            result = self._call(method, params)
        except RpcError as error:
            return self._refuse(error, us_in, request_id)
        return RestResponse(HTTPStatus.OK, self._frames.result(result, us_in, request_id))

    def _refuse(self, error: RpcError, us_in: int, request_id: object) -> RestResponse:
        """Status 400 with the error, but 429 for an empty pool of credits."""
        status = HTTPStatus.TOO_MANY_REQUESTS if error.code == 10028 else HTTPStatus.BAD_REQUEST
        return RestResponse(status, self._frames.error(error, us_in, request_id))
