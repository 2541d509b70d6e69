"""Small captures in the formats of other programs, made here: the same market, and rows of any capture in each."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from typing import Any

BEGIN = 1_700_000_000_123_000_000
SECOND = 1_000_000_000
_CLIENT, _SERVER = bytes.fromhex("024346440001"), bytes.fromhex("024346440002")

Row = dict[str, Any]


def depth(first: int, last: int, before: int, price: str) -> str:
    event = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": first, "u": last, "pu": before}
    return json.dumps({"stream": "btcusdt@depth@0ms", "data": event | {"b": [[price, "1"]], "a": []}}).replace(" ", "")


def hftbacktest_lines() -> list[str]:
    """A futures book: a difference, the snapshot it continues, and one difference a second."""
    book = '{"lastUpdateId":11,"E":1,"T":1,"bids":[["100","1"]],"asks":[["110","1"]]}'
    lines = [f"{BEGIN} {depth(10, 12, 9, '100')}", f"{BEGIN + 1000} {book}"]
    return lines + [f"{BEGIN + n * SECOND} {depth(12 + n, 12 + n, 11 + n, str(100 + n))}" for n in range(1, 6)]


def cryptofeed_rows(exchange: str = "BINANCE_FUTURES") -> list[Row]:
    """The same market as cryptofeed writes it, the answer before everything else."""
    rows: list[Row] = [{"t": "header", "format": 2, "exchange": exchange, "config": {}}]
    for line in hftbacktest_lines():
        stamp, _, data = line.partition(" ")
        ts = int(stamp) / 1e9
        if '"stream"' in data:
            rows.append({"t": "recv", "conn": "ws", "ts": ts, "data": data})
        else:
            url = "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
            rows.insert(1, {"t": "http", "conn": "http", "ts": ts, "url": url, "data": data})
    address = "wss://fstream.binance.com/stream?streams=btcusdt@depth@0ms"
    rows.insert(2, {"t": "connect", "conn": "ws", "ts": BEGIN / 1e9, "addr": address})
    rows.insert(3, {"t": "send", "conn": "ws", "ts": BEGIN / 1e9, "addr": address, "data": '{"method":"SUBSCRIBE"}'})
    return rows


def text_files(rows: Iterable[Row], exchange: str = "BINANCE_FUTURES") -> dict[str, str]:
    """What cryptofeed 2.x writes of such rows: a file for each connection."""
    files = {f"{exchange}.ws.1.0": "", f"{exchange}.http.0.0": ""}
    for row in rows:
        ts, data = row.get("ts"), row.get("data")
        match row["t"]:
            case "connect":
                files[f"{exchange}.ws.1.0"] += f"{row['addr']} <-> {ts}\n"
            case "send":
                files[f"{exchange}.ws.1.0"] += f"{row['addr']} <- {ts}: {data}\n"
            case "recv":
                files[f"{exchange}.ws.1.0"] += f"{ts}: {data}\n"
            case "http":
                files[f"{exchange}.http.0.0"] += f"{row['url']} -> {ts}: {data}\n"
    return files


def tardis_lines(exchange: str = "binance-futures") -> list[str]:
    """The same market as a raw slice of Tardis, and a lost connection before its end."""
    lines = []
    for line in hftbacktest_lines():
        stamp, _, data = line.partition(" ")
        if '"stream"' not in data:
            data = f'{{"stream":"btcusdt@depthSnapshot","generated":true,"data":{data}}}'
        lines.append(f"{iso_100ns(int(stamp))} {data}")
    return [*lines[:-1], "", lines[-1]]


def iso_100ns(ns: int) -> str:
    """Time with seven digits, as Tardis writes it."""
    import datetime

    whole = datetime.datetime.fromtimestamp(ns // SECOND, datetime.UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ns % SECOND // 100:07d}Z"


# ---- pcap ----------------------------------------------------------------------------------------------------------


def pcap(rows: Iterable[Row], exchange: str = "BINANCE_FUTURES", *, segment_bytes: int = 65_495) -> bytes:
    """What cryptofeed 3.x writes of such rows: a stream of requests, and one of a websocket."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)]
    ordered = sorted((row for row in rows if "ts" in row), key=lambda row: row["ts"])
    out += (packet for row in ordered for packet in _packets(row, exchange, segment_bytes))
    return b"".join(out)


def _packets(row: Row, exchange: str, segment_bytes: int) -> Iterator[bytes]:
    ns = round(row["ts"] * 1e6) * 1000
    data = row.get("data", "").encode()
    meta = f"X-Cryptofeed-Conn-Id: {row['conn']}\r\nX-Cryptofeed-Exchange: {exchange}\r\n"
    match row["t"]:
        case "connect":
            yield _packet(ns, 40_001, True, 0x02)
            yield _packet(ns, 40_001, False, 0x12)
            head = (
                f"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nX-Cryptofeed-Address: {row['addr']}\r\n{meta}\r\n"
            )
            yield from _segments(ns, 40_001, True, head.encode(), segment_bytes)
            upgraded = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
            yield from _segments(ns, 40_001, False, upgraded, segment_bytes)
        case "send":
            yield from _segments(ns, 40_001, True, _frame(data, masked=True), segment_bytes)
        case "recv":
            yield from _segments(ns, 40_001, False, _frame(data), segment_bytes)
        case "http":
            yield _packet(ns, 40_000, True, 0x02)
            head = f"GET {row['url']} HTTP/1.1\r\nHost: h\r\nX-Cryptofeed-Url: {row['url']}\r\n{meta}\r\n"
            yield from _segments(ns, 40_000, True, head.encode(), segment_bytes)
            answer = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            )
            yield from _segments(ns, 40_000, False, answer + data, segment_bytes)


def _frame(payload: bytes, *, masked: bool = False) -> bytes:
    bit, size = 0x80 * masked, len(payload)
    if size < 126:
        head = bytes([0x81, bit | size])
    elif size < 65_536:
        head = bytes([0x81, bit | 126]) + struct.pack("!H", size)
    else:
        head = bytes([0x81, bit | 127]) + struct.pack("!Q", size)
    return head + bytes(4) * masked + payload


def _segments(ns: int, port: int, is_request: bool, payload: bytes, segment_bytes: int) -> Iterator[bytes]:
    for begin in range(0, len(payload), segment_bytes):
        yield _packet(ns, port, is_request, 0x18, payload[begin : begin + segment_bytes])


def _packet(ns: int, port: int, is_request: bool, flags: int, payload: bytes = b"") -> bytes:
    ethernet = (_SERVER + _CLIENT if is_request else _CLIENT + _SERVER) + b"\x08\x00"
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 1, 0x4000, 64, 6, 0, bytes(4), bytes(4))
    ports = (port, 80) if is_request else (80, port)
    tcp = struct.pack("!HHIIBBHHH", *ports, 1, 1, 5 << 4, flags, 65_535, 0, 0)
    packet = ethernet + ip + tcp + payload
    return struct.pack("<IIII", ns // SECOND, ns % SECOND, len(packet), len(packet)) + packet
