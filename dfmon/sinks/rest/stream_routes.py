"""`/v1/stream`, as server-sent events and as a websocket: the messages of the chosen topics, as they come.

GET /v1/stream?topics=snapshot,scenario,alert&currency=&detail=&since=
"""

# Annotations are not postponed here: FastAPI reads those of the routes.

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Header, HTTPException, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from dfmon.aio import run_until_set
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import sanitize
from dfmon.sinks.rest.access import STREAM_PATH
from dfmon.sinks.rest.context import RestContext
from dfmon.sinks.rest.messages import TOPICS, Message, Subscriber
from dfmon.sinks.rest.openapi import ERRORS, Responses
from dfmon.sinks.rest.past_events import offer_past_events

DEFAULT_TOPICS: Final = "snapshot,scenario,alert"
EVENT_STREAM: Final = "text/event-stream"
KEEP_ALIVE: Final = b": no message for a while\n\n"  # a comment, so that proxies keep the connection

Topics = Annotated[str, Query(description=f"some of {', '.join(TOPICS)}", examples=["scenario,alert"])]
Underlying = Annotated[str | None, Query(description="only this underlying; all if left out", examples=["BTC"])]
WithDetail = Annotated[bool, Query(description="snapshots with heat-map, profile, tape and alerts")]
Since = Annotated[
    int | None, Query(ge=0, description="`seq` of the last message that was seen: later events are sent again")
]


def add_streams(app: FastAPI, context: RestContext) -> None:
    responses: Responses = {
        200: {
            "description": "one event a message: its topic, `seq` as the id, and the data as one line of JSON."
            " Snapshots that a slow client cannot take are left out, events are not",
            "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
        },
        **ERRORS,
    }

    @app.get(
        STREAM_PATH, response_class=StreamingResponse, responses=responses, operation_id="stream",
        summary="Snapshots, scenario changes and alerts as they come",
    )  # fmt: skip
    async def stream(
        topics: Topics = DEFAULT_TOPICS,
        currency: Underlying = None,
        detail: WithDetail = False,
        since: Since = None,
        last_event_id: Annotated[str | None, Header(description="as `since`, by which a browser resumes")] = None,
    ) -> StreamingResponse:
        if since is None and last_event_id is not None and last_event_id.isdecimal():
            since = int(last_event_id[:20])
        subscriber = await _subscriber(context, topics, currency, since)
        events = _server_sent_events(context, subscriber, detail=detail)
        return StreamingResponse(events, media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})

    @app.websocket(STREAM_PATH)
    async def websocket_stream(
        websocket: WebSocket,
        topics: Topics = DEFAULT_TOPICS,
        currency: Underlying = None,
        detail: WithDetail = False,
        since: Since = None,
    ) -> None:
        subscriber = await _subscriber(context, topics, currency, since)
        await websocket.accept()
        left = asyncio.Event()
        await run_until_set(
            left, _read_until_left(websocket), _send_messages(websocket, context, subscriber, detail=detail)
        )


async def _subscriber(context: RestContext, topics: str, currency: str | None, since: int | None) -> Subscriber:
    """A subscriber as the query has it, with what it missed. Raises HTTPException 422 for unknown topics, or 404."""
    chosen = frozenset(topics.split(","))
    if unknown := sorted(chosen.difference(TOPICS)):
        raise HTTPException(422, f"topics: {sanitize(unknown[0], 20)!r} is none; allowed: {', '.join(TOPICS)}")
    underlying = context.find_snapshot(currency).underlying if currency else None
    subscriber = Subscriber(context.messages, chosen, underlying, since)
    await offer_past_events(context, subscriber)
    return subscriber


async def _server_sent_events(
    context: RestContext, subscriber: Subscriber, *, detail: bool
) -> AsyncGenerator[bytes, None]:
    async with aclosing(subscriber.messages(context.closing)) as messages:
        async for message in messages:
            if message is None:
                yield KEEP_ALIVE
                continue
            context.progress.sent += 1
            data = await _encode(context, message, detail=detail)
            yield b"event: %b\nid: %d\ndata: %b\n\n" % (message.topic.encode(), message.seq, data)


async def _send_messages(websocket: WebSocket, context: RestContext, subscriber: Subscriber, *, detail: bool) -> None:
    with suppress(WebSocketDisconnect):
        async with aclosing(subscriber.messages(context.closing)) as messages:
            async for message in messages:
                if message is None:
                    continue
                context.progress.sent += 1
                data = await _encode(context, message, detail=detail)
                fields = f'"topic":"{message.topic}","seq":{message.seq},"underlying":"{message.underlying}"'
                await websocket.send_text(f'{{{fields},"data":{data.decode()}}}')
        await websocket.close(1001, "dfmon ends")


async def _read_until_left(websocket: WebSocket) -> None:
    """Drops what the client sends, until it leaves."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _encode(context: RestContext, message: Message, *, detail: bool) -> bytes:
    content: Any = message.content
    if not isinstance(content, FlowSnapshot):
        return msgspec.json.encode(content)
    return await context.bodies.detailed_json(content) if detail else context.bodies.json(content)
