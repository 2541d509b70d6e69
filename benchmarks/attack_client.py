"""Attacks of a venue on our REST client and websocket transports over loopback: duration, memory and sentence of each.

    PYTHONPATH=. python benchmarks/attack_client.py [ATTACK ...]

Each attack runs in a process of its own together with its server, so the memory includes both.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time

from dfmon.venues.rest.client import RestClient
from dfmon.venues.transport.picows import open_picows
from dfmon.venues.transport.websockets import open_websockets
from tests.venues import test_rest_bounds as rest_attacks
from tests.venues import test_transport_bounds as socket_attacks

DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
SOCKETS = {
    "picows: fragments without end": (open_picows, socket_attacks.fragments_without_end, b""),
    "websockets: fragments without end": (open_websockets, socket_attacks.fragments_without_end, b""),
    "websockets: compressed fragments": (open_websockets, socket_attacks.compressed_fragments_without_end, DEFLATE),
    "websockets: compressed bomb": (open_websockets, socket_attacks.compressed_bomb, DEFLATE),
}


async def attack(name: str) -> str:
    """The sentence with which an attack ends."""
    if name in SOCKETS:
        opener, frames, extensions = SOCKETS[name]
        return await socket_attacks.reason_of_end(opener, frames(), extensions)
    pieces, _ = rest_attacks.ATTACKS[name.removeprefix("REST: ")]
    async with rest_attacks.venue(pieces()) as base, RestClient() as client:
        await client.get(base, rest_attacks.CALL)
        return client.errors["127.0.0.1"]


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        before_mb, started = peak_mb(), time.monotonic()
        sentence = asyncio.run(attack(sys.argv[2]))
        figures = {"seconds": round(time.monotonic() - started, 1), "memory_mb": [before_mb, peak_mb()]}
        print(json.dumps({"attack": sys.argv[2]} | figures | {"sentence": sentence}))
        return
    for name in sys.argv[1:] or [*SOCKETS, *(f"REST: {name}" for name in rest_attacks.ATTACKS)]:
        subprocess.run([sys.executable, __file__, "--run", name], check=True)


if __name__ == "__main__":
    main()
