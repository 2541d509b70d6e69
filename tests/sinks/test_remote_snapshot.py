"""`dfmon snapshot URL` against a service that takes a token."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from dfmon.cli.remote_snapshot import remote_snapshot
from dfmon.config import Config, PublishSection
from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import SECOND
from dfmon.sinks.rest.rest_service import RestService
from dfmon.sinks.rest.settings import RestSettings
from tests.sinks.conftest import Run
from tests.sinks.factory import snapshot, wait_until

TOKEN = "a-token-of-some-length"


@pytest.fixture
async def url(hub: SnapshotHub, run: Run) -> str:
    service = RestService(port=0, settings=RestSettings(TOKEN))
    service.bind()
    run(service)
    await wait_until(lambda: service.progress.state == "serving")
    hub.publish(snapshot(1))
    return service.url


@pytest.mark.parametrize("place", ["variable", "file"])
async def test_the_token_is_sent_that_a_service_here_would_take(url: str, tmp_path: Path, place: str) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    publish = PublishSection(rest_token=TOKEN) if place == "variable" else PublishSection(rest_token_file=str(path))
    found = await asyncio.to_thread(remote_snapshot, url, "BTC", Config(publish=publish), 5.0)
    assert found.underlying == "BTC"


@pytest.mark.parametrize(("age_s", "state"), [(2.0, "live"), (60.0, "stale")])
async def test_the_last_snapshot_of_a_dead_collector_is_stale(
    hub: SnapshotHub, url: str, age_s: float, state: str
) -> None:
    hub.publish(replace(snapshot(2), ts_ns=time.time_ns() - round(age_s * SECOND)))
    found = await asyncio.to_thread(remote_snapshot, url, "BTC", Config(publish=PublishSection(rest_token=TOKEN)), 5.0)
    assert found.state == state


@pytest.mark.parametrize(("token", "words"), [("", "it takes a token"), ("another-token-of-16", "is not its own")])
async def test_a_refusal_names_where_the_token_is_set(url: str, token: str, words: str) -> None:
    config = Config(publish=PublishSection(rest_token=token))
    with pytest.raises(DfmonError, match=f"401: .*{words}.*DFMON_PUBLISH_REST_TOKEN.*rest_token_file") as caught:
        await asyncio.to_thread(remote_snapshot, url, "BTC", config, 5.0)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("token", ["ü" * 20, "a-token\nX-Other: 1"])
def test_a_token_that_no_header_can_have_is_a_sentence(token: str) -> None:
    config = Config(publish=PublishSection(rest_token=token))
    with pytest.raises(UsageError, match="token has characters that no request can have"):
        remote_snapshot("http://127.0.0.1:9", "BTC", config, 5.0)
