"""The programs of README.md and docs/rest.md that read a stream."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from dfmon.engine.hub import SnapshotHub
from dfmon.sinks.rest import messages
from dfmon.sinks.rest.rest_service import RestService
from tests.sinks.factory import wait_until
from tests.sinks.rest.test_stream import TableReader, with_events

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _tables_have_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "EventReader", TableReader)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/rest.md"])
async def test_the_program_of_the_page_prints_what_is_published(
    hub: SnapshotHub, service: RestService, page: str
) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    (program,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "/v1/stream" in block]
    assert page != "README.md" or len([line for line in program.splitlines() if line]) <= 5
    program = program.replace("127.0.0.1:8765", f"127.0.0.1:{service.port}")
    hub.publish(with_events(1))
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", program, stdout=asyncio.subprocess.PIPE, env={"PATH": ""}
    )
    try:
        await wait_until(lambda: service.connections.requests.streams == 1, seconds=60)
        assert reader.stdout is not None
        first_line = asyncio.ensure_future(reader.stdout.readline())
        for changes in range(1, 120):  # a stream without `since` begins with what comes after it is set up
            hub.publish(with_events(1 + changes, changes=changes))
            if (await asyncio.wait({first_line}, timeout=0.5))[0]:
                break
        line = first_line.result().decode()
        assert re.match(r"\d+ BTC (-12345678.25 USD per \+1 %|\{'ts': 'time \d+')", line), line
    finally:
        reader.kill()
        await reader.wait()
