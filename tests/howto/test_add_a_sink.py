"""The webhook of docs/howto/add-a-sink.md, built on a copy of the package, posts the snapshots of a replay."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue

import pytest

from tests.board_files import NOW, snapshot_text
from tests.howto.guide import dfmon_command, follow_guide

pytestmark = pytest.mark.slow


@contextmanager
def webhook_server(received: Queue[bytes]) -> Iterator[str]:
    """A server that keeps the bodies of its requests; the first request is refused."""

    class Handler(BaseHTTPRequestHandler):
        refusals = 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if Handler.refusals:
                Handler.refusals -= 1
                return self.send_error(503)
            received.put(body)
            self.send_response(204)
            self.end_headers()
            return None

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook?token=s3cret"
        finally:
            server.shutdown()
            thread.join()


def boards_file(path: Path) -> Path:
    """Three boards, a minute apart."""
    times = [(NOW + timedelta(minutes=n)).isoformat() for n in range(3)]
    header, *rows = snapshot_text().splitlines()
    path.write_text("\n".join([header, *(row.replace(NOW.isoformat(), at) for at in times for row in rows)]) + "\n")
    return path


def test_the_webhook_of_the_guide_posts_the_snapshots_of_a_replay(tmp_path: Path) -> None:
    environ = follow_guide("add-a-sink.md", tmp_path)
    received: Queue[bytes] = Queue()
    with webhook_server(received) as url:
        command = dfmon_command("replay", boards_file(tmp_path / "boards.csv"), "--publish", "--webhook", url)
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as replay:
            posted = json.loads(received.get(timeout=60))
            while posted["seq"] < 3:
                posted = json.loads(received.get(timeout=60))
            replay.send_signal(signal.SIGINT)
            lines, log = replay.communicate(timeout=30)
    assert (posted["schema"], posted["underlying"], posted["seq"]) == (2, "BTC", 3)
    assert json.loads(lines.splitlines()[0])["spot"] == posted["spot"]
    assert b"sink webhook failed: the server responded 503" in log
    assert b"s3cret" not in log


def test_the_option_of_the_guide_is_checked_as_others_are(tmp_path: Path) -> None:
    environ = follow_guide("add-a-sink.md", tmp_path)
    command = dfmon_command("replay", "boards.csv", "--publish", "--webhook", "ftp://host")
    refused = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "publish.webhook is 'ftp://host', allowed: an http:// or https:// URL or nothing" in refused.stderr
