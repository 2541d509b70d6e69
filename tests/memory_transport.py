"""A transport in place of the network, whose responses are read like those of a socket: as a stream."""

from __future__ import annotations

import httpx


class MemoryTransport(httpx.MockTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content), request=request
        )
