"""The routes of the parts of a snapshot, explanations, what-ifs and the history, against the functions behind them."""

from __future__ import annotations

import asyncio
import gzip
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import zstandard
from msgspec import UNSET
from msgspec.structs import replace

from dfmon.cli.remote_snapshot import remote_explanation
from dfmon.config import Config
from dfmon.core.snapshot.smoothing import smoothed
from dfmon.engine.explain import EXPLAINED, explain
from dfmon.engine.explain_terms import ALIASES, TERMS, explain_term
from dfmon.engine.hub import SnapshotHub
from dfmon.engine.what_if import TickInputs, inputs_of, what_if_of_tick
from dfmon.engine.what_if_arguments import parse_what_if
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.locator import parse_locator
from dfmon.model.snapshot import Alert, FlowSnapshot, MetricRow, to_json
from dfmon.model.tables import HeatMap, PositionRow, Profile
from dfmon.model.units import HOUR, MINUTE, SECOND, iso
from dfmon.model.what_if import WhatIf
from dfmon.sinks.rest import published as bodies
from dfmon.sinks.rest import responses
from dfmon.sinks.rest.history_table import COLUMNS, MAX_ROWS, UNITS
from dfmon.sinks.rest.rest_service import RestService
from dfmon.sinks.rest.settings import RestSettings
from dfmon.sinks.view_text import View, as_csv, view_of
from dfmon.store.history import History, HistoryReader
from tests.sinks.factory import START_NS, snapshot
from tests.sinks.rest.conftest import Serve, client_of

pytestmark = pytest.mark.slow


def inputs(of: FlowSnapshot) -> TickInputs:
    found = inputs_of(of)
    assert found is not None
    return found


async def table(client: httpx.AsyncClient, path: str, kind: type[Any]) -> Any:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=kind)


@pytest.mark.parametrize("model", ["naive", "short-all"])
async def test_each_table_is_that_of_the_snapshot_under_the_model(
    published: FlowSnapshot, client: httpx.AsyncClient, model: str
) -> None:
    view = published.view(model)
    detail = view.detail
    assert detail is not UNSET
    profile = await table(client, f"/v1/profile?model={model}", responses.ProfileTable)
    heatmap = await table(client, f"/v1/heatmap?model={model}", responses.HeatMapTable)
    positions = await table(client, f"/v1/positions?model={model}", responses.PositionTable)
    scenario = await table(client, f"/v1/scenario?model={model}", responses.ScenarioTable)
    assert {each.model for each in (profile, heatmap, positions, scenario)} == {model}
    assert {each.unavailable for each in (profile, heatmap, positions, scenario)} == {view.unavailable}
    assert profile.profile == rounded(detail.profile, Profile)
    assert heatmap.heatmap == rounded(detail.heatmap, HeatMap)
    spread = await table(client, f"/v1/heatmap?model={model}&smoothed=true", responses.HeatMapTable)
    assert (heatmap.smoothed, spread.smoothed) == (False, True)
    assert spread.heatmap == rounded(smoothed(detail.heatmap, view.by_expiry), HeatMap)
    assert positions.options == tuple(rounded(row, PositionRow) for row in detail.positions)
    assert (profile.unit, heatmap.units["vss"], positions.unit) == ("USD/+1%", "USD/+1 vol pt", "coins")
    assert (scenario.scenario, scenario.features, scenario.regime) == (view.scenario, view.features, view.regime)


def rounded(part: Any, kind: type[Any]) -> Any:
    """The part as a client reads it."""
    return msgspec.json.decode(msgspec.json.encode(part), type=kind)


async def test_instruments_are_the_board_of_the_tick(published: FlowSnapshot, client: httpx.AsyncClient) -> None:
    listed = await table(client, "/v1/instruments", responses.InstrumentTable)
    chain = inputs(published).chain
    assert [row.name for row in listed.instruments] == list(chain.names)
    assert [row.strike for row in listed.instruments] == chain.strike.tolist()
    assert [row.expiry for row in listed.instruments] == [iso(each) for each in chain.expiry_ns.tolist()]
    assert {row.option_type for row in listed.instruments} == {"call", "put"}
    assert {row.bid_iv for row in listed.instruments} == {None}


async def test_transitions_and_alerts_are_those_of_the_detail(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    """Of a snapshot of another process too, which came without the results of its tick."""
    hub.publish(snapshot(1))
    detail = snapshot(1).detail
    assert detail is not UNSET
    assert (await table(client, "/v1/transitions", responses.TransitionTable)).transitions == detail.transitions
    assert (await table(client, "/v1/alerts", responses.AlertTable)).alerts == detail.alerts
    of_rule = Alert(snapshot(2).ts_ns, "RULE", "BTC high", "BTC", "", "high")
    hub.publish(replace(snapshot(2), rule_alerts=(of_rule,)))
    assert set((await table(client, "/v1/alerts", responses.AlertTable)).alerts) == {of_rule, *detail.alerts}
    response = await client.get("/v1/explain/%2e%2e%2f")
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    for path in ("/v1/instruments", "/v1/explain/ngi", "/v1/whatif"):
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("metric", ["ngi", "flip", "hpp", "regime", "bucket"])
async def test_explanations_are_those_of_the_command(
    published: FlowSnapshot, client: httpx.AsyncClient, metric: str
) -> None:
    tick = inputs(published)
    function = explain if metric in EXPLAINED else explain_term
    response = await client.get(f"/v1/explain/{metric}")
    assert response.content == msgspec.json.encode(function(tick, metric))
    other = await client.get(f"/v1/explain/{metric}?model=short-all")
    params = tick.params.with_positions("short-all")
    assert other.content == msgspec.json.encode(function(tick._replace(params=params), metric))


@pytest.mark.parametrize("metric", ["ngi", "regime"])
async def test_the_command_explains_what_a_running_dfmon_holds(
    published: FlowSnapshot, service: RestService, metric: str
) -> None:
    tick = inputs(published)
    function = explain if metric in EXPLAINED else explain_term
    ask = partial(remote_explanation, metric=metric, config=Config(), timeout_s=8.0)
    assert await asyncio.to_thread(ask, service.url, currency=None, model=None) == function(tick, metric)
    params = tick.params.with_positions("short-all")
    url = f"{service.url}/v1/snapshot?currency={published.underlying}"
    other = await asyncio.to_thread(ask, url, currency=published.underlying, model="short-all")
    assert other == function(tick._replace(params=params), metric)
    with pytest.raises(DfmonError, match=r"responded 404: .*No positions 'x' here"):
        await asyncio.to_thread(ask, service.url, currency=None, model="x")
    with pytest.raises(UsageError, match="only a REST service explains"):
        ask("redis://127.0.0.1:6379", currency=None, model=None)


async def test_an_unknown_metric_or_model_is_said_with_what_there_is(
    published: FlowSnapshot, client: httpx.AsyncClient
) -> None:
    response = await client.get("/v1/explain/gamma")
    names = ", ".join((*EXPLAINED, *TERMS, *ALIASES))
    assert (response.status_code, response.json()["detail"]) == (
        404,
        f"No metric or word 'gamma'; there is {names}.",
    )
    response = await client.get("/v1/profile?model=x")
    assert (response.status_code, response.json()["detail"][:21]) == (404, "No positions 'x' here")


@pytest.mark.parametrize(
    "text", ["spot -2", "vol 5 hours 24", "positions short-all numeraire coin", "law sqrt share 0.4"]
)
async def test_what_if_is_that_of_the_screen(published: FlowSnapshot, client: httpx.AsyncClient, text: str) -> None:
    tokens = text.split()
    query = "&".join(f"{name}={value}" for name, value in zip(tokens[::2], tokens[1::2]))
    result = await table(client, f"/v1/whatif?{query}", WhatIf)
    tick = inputs(published)
    assert result == what_if_of_tick(tick, *parse_what_if(text, tick.params))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("spot=-99", "spot is '-99': input should be greater than or equal to -95"),
        ("spot=nan", "spot is 'nan': input should be"),
        ("positions=long", 'invalid positions "long": flow, naive, short-all or file'),
        ("positions=file", "positions file: no file of positions is given"),
        ("desks=nan:1:0", 'invalid desks "nan:1:0": SHARE:RATIO:COST'),
        ("vol=-400", "vol_points: half of the options have a volatility up to"),
    ],
)
async def test_a_what_if_that_makes_no_sense_is_a_sentence(
    published: FlowSnapshot, client: httpx.AsyncClient, query: str, sentence: str
) -> None:
    response = await client.get(f"/v1/whatif?{query}")
    assert response.status_code == 422
    assert response.json()["detail"].startswith(sentence)


# ---- bodies --------------------------------------------------------------------------------------------------------


async def test_a_body_is_encoded_once_a_tick_for_all_clients(
    hub: SnapshotHub, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []

    def counted(each: FlowSnapshot, *args: Any, **options: Any) -> bytes:
        encoded.append(each.seq)
        return to_json(each, *args, **options)

    monkeypatch.setattr(bodies, "to_json", counted)
    for seq in (1, 2):
        hub.publish(snapshot(seq))
        await asyncio.gather(*(client.get("/v1/snapshot") for _ in range(10)))
    assert encoded == [1, 2]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("gzip, deflate, br, zstd", "zstd"), ("gzip;q=0", ""), ("identity", ""), ("", "")],
)
async def test_a_large_body_is_compressed_as_the_client_accepts(
    hub: SnapshotHub, client: httpx.AsyncClient, accepted: str, encoding: str
) -> None:
    hub.publish(snapshot(1, strikes=100))
    headers = {"Accept-Encoding": accepted}
    async with client.stream("GET", "/v1/snapshot", headers=headers) as response:
        raw = b"".join([block async for block in response.aiter_raw()])
    unpack: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress, "zstd": zstandard.ZstdDecompressor().decompress, "": bytes,
    }  # fmt: skip
    assert response.headers.get("content-encoding", "") == encoding
    assert unpack[encoding](raw) == to_json(snapshot(1, strikes=100), "live")
    assert response.headers["vary"] == "Accept-Encoding"
    again = await client.get("/v1/snapshot", headers={**headers, "If-None-Match": response.headers["etag"]})
    assert again.status_code == 304


async def test_a_client_that_leaves_does_not_cancel_what_others_wait_for(
    published: FlowSnapshot, client: httpx.AsyncClient
) -> None:
    impatient = asyncio.create_task(client.get("/v1/explain/vss"))
    await asyncio.sleep(0)
    other = asyncio.create_task(client.get("/v1/explain/vss"))
    await asyncio.sleep(0.01)
    impatient.cancel()
    assert (await other).status_code == 200


# ---- history -------------------------------------------------------------------------------------------------------


def metric_row(ts_ns: int, at: int) -> MetricRow:
    values = {name: float(at) for name in COLUMNS} | {"bucket": at % 6, "hpp": math.nan}
    return MetricRow(ts_ns=ts_ns, **values)  # type: ignore[arg-type]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "history.sqlite"
    store = History(path, clock=lambda: START_NS, flush_interval_s=None)
    for at in range(7200):
        store.append_row("BTC", metric_row(START_NS - 2 * HOUR + at * SECOND, at))
    store.flush()
    store.close()
    return path


async def test_the_history_is_that_of_the_store(hub: SnapshotHub, serve: Serve, stored: Path) -> None:
    def read(underlying: str, since_ns: int, names: Sequence[str], until_ns: int) -> Mapping[str, Any]:
        with HistoryReader(stored) as reader:
            return reader.columns(underlying, since_ns, names, until_ns)

    hub.publish(snapshot(0))
    since, until = START_NS - HOUR, START_NS - HOUR + 10 * MINUTE
    async with client_of(await serve(history=read)) as client:
        query = f"since={iso(since)}&until={iso(until)}&columns=ngi,hpp,bucket"
        found = await table(client, f"/v1/history?{query}", responses.HistoryTable)
        thinned = await table(client, f"/v1/history?{query}&every=60", responses.HistoryTable)
        everything = await table(client, "/v1/history", responses.HistoryTable)
        refused = [await client.get(f"/v1/history?{q}") for q in ("columns=gamma", "since=2026-02-01", "since=x")]
    assert found.columns["ngi"] == tuple(float(at) for at in range(3600, 4200))
    assert set(found.columns["hpp"]) == {None}
    assert found.units == {"ngi": "USD/+1%", "hpp": "USD/+1%", "bucket": "scenario, 0: none"}
    assert [len(thinned.ts), set(thinned.ts) <= set(found.ts)] == [11, True]
    assert len(everything.ts) == 3599
    assert list(everything.columns) == list(COLUMNS)
    assert [each.status_code for each in refused] == [422] * 3
    assert refused[0].json()["detail"].startswith("columns: no column 'gamma'; allowed: spot, flip,")


async def test_a_history_of_too_much_says_how_to_ask_for_less(hub: SnapshotHub, serve: Serve) -> None:
    def read(_: str, since_ns: int, names: Sequence[str], until_ns: int) -> Mapping[str, Any]:
        ts_ns = START_NS - np.arange(2 * MAX_ROWS, 0, -1) * SECOND
        return {name: ts_ns if name == "ts_ns" else np.ones(ts_ns.size) for name in ("ts_ns", *names)}

    hub.publish(snapshot(0))
    async with client_of(await serve(history=read)) as client:
        refused = await client.get("/v1/history?since=2020-01-01")
        assert refused.json()["detail"] == "every: these are 40,000 rows, allowed: 20,000, as with every=3"
        assert (await client.get("/v1/history?since=2020-01-01&every=3")).status_code == 200


def test_every_column_has_a_unit() -> None:
    assert set(COLUMNS) <= set(UNITS)


async def test_without_a_history_it_is_not_found(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    hub.publish(snapshot(0))
    assert (await client.get("/v1/history")).status_code == 404


# ---- limits of requests --------------------------------------------------------------------------------------------


async def test_a_body_that_nobody_reads_is_refused(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    hub.publish(snapshot(1))
    response = await client.request("GET", "/v1/snapshot", content=b"x" * 70_000)
    assert (response.status_code, response.headers["connection"]) == (413, "close")
    assert (await client.request("GET", "/v1/snapshot", content=b"x" * 100)).status_code == 200


async def test_a_client_that_asks_too_often_is_told_to_wait(hub: SnapshotHub, serve: Serve) -> None:
    hub.publish(snapshot(1))
    async with client_of(await serve(RestSettings(rate=0.001))) as client:
        codes = [(await client.get("/v1/snapshot")).status_code for _ in range(2)]
        assert codes == [429, 429]
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "query", ["heatmap?layer=vss", "positions", "vol", "what-if?spot=-4&vol=6", "explain?name=ngi"]
)
async def test_a_locator_is_a_url_and_its_table_is_that_of_the_command(
    published: FlowSnapshot, client: httpx.AsyncClient, query: str
) -> None:
    locator = parse_locator(f"dfmon://{published.underlying}/{query}")
    screen, _, parameters = query.partition("?")
    path = f"/v1/view/{screen}?currency={published.underlying}" + (f"&{parameters}" if parameters else "")
    expected = view_of(published, "live", locator)
    body = await table(client, path, View)
    assert (body.locator, body.columns, len(body.rows)) == (str(locator), expected.columns, len(expected.rows))
    assert body.rows == expected.rows
    response = await client.get(f"{path}&format=csv")
    assert response.headers["content-type"].startswith("text/csv")
    assert response.text == as_csv(expected)


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("/v1/view/heat", 404, "No screen 'heat'; there is main, heatmap, "),
        ("/v1/view/heatmap?layer=gex", 422, 'layer is "gex", allowed: ngi'),
        ("/v1/view/heatmap?layer=change", 422, "only the screen keeps"),
        ("/v1/view/gauges?layer=ngi", 422, 'gauges has no "layer"'),
        ("/v1/view/heatmap?at=2026-01-22T12:30:41Z", 422, "unknown query name at"),
        ("/v1/view/smile?expiry=1JAN31", 422, "no expiry 1JAN31, allowed: "),
        ("/v1/view/heatmap?expiry=1JAN31", 422, "no expiry 1JAN31, allowed: "),
        ("/v1/view/positions?expiry=01JAN31", 422, "no expiry 1JAN31, allowed: "),
        ("/v1/view/heatmap?strike=12345.5", 422, "no strike 12345.5, the nearest: "),
    ],
)
async def test_a_wrong_view_is_one_sentence(
    published: FlowSnapshot, client: httpx.AsyncClient, path: str, code: int, sentence: str
) -> None:
    response = await client.get(path)
    assert (response.status_code, sentence in response.json()["detail"]) == (code, True), response.text
