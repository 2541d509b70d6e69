"""Files of the first version stay readable, and its recording still gives the numbers whose definition is as then."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from dfmon.core.positions.estimate import SOURCES, estimate
from dfmon.core.positions.observed_columns import PrintColumns
from dfmon.core.positions.replay import with_histories
from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import (
    EARLIER_VERSION,
    VERSION,
    PositionsCheckpoint,
    decode_checkpoint,
    encode_checkpoint,
    find_resume_point,
    priors_digest,
)
from dfmon.model.snapshot import FlowSnapshot, from_json, to_json
from dfmon.model.units import SECOND
from dfmon.replay import open_source, play_to_end
from dfmon.store.history import History, HistoryReader
from dfmon.store.positions_state import PositionsStateFile
from dfmon.store.trades import TradeStore
from dfmon.venues.stored_prints import decode_stored, encode_stored
from tests import shared_data

LAST_NS = 1_796_006_526_000_866_153  # of the last tick of the recorded session
UNDERLYINGS = ("BTC", "ETH")


def copy_of(name: str, folder: Path) -> Path:
    """A writable copy: a store is migrated and cleaned up when it is opened."""
    path = folder / name
    shutil.copyfile(shared_data.compat() / name, path)
    return path


def last_snapshots() -> dict[str, Any]:
    with gzip.open(shared_data.compat() / "last_snapshots.jsonl.gz", "rt", encoding="utf-8") as file:
        return {snapshot["underlying"]: snapshot for snapshot in map(json.loads, file)}


def differences(found: Any, expected: Any, path: str = "") -> list[str]:
    """Places where `found` lacks what was written then. What was added since is no difference."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [text for key, value in expected.items() for text in differences(found.get(key), value, f"{path}.{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        return [text for i, pair in enumerate(zip(found, expected)) for text in differences(*pair, f"{path}[{i}]")]
    if isinstance(expected, float) and isinstance(found, (int, float)):
        return [] if found == pytest.approx(expected, rel=1e-9, abs=1e-12) else [f"{path}: {found} for {expected}"]
    return [] if found == expected else [f"{path}: {found!r} for {expected!r}"]


def as_defined_then(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Volume, the board, and what does not depend on positions: another estimator finds those now.

    So coverage, size and residual of the positions and every exposure are redefined, and depth was one median then.
    """
    kept = {key: snapshot[key] for key in ("ts", "underlying", "spot", "instruments")}
    kept["positions"] = {"model": snapshot["positions"]["model"]}
    kept["liquidity"] = {"adv_usd": snapshot["liquidity"]["adv_usd"]}
    names = ("expiry", "hours", "atm_iv", "open_interest", "churn")
    return kept | {"by_expiry": [{key: row[key] for key in names if key in row} for row in snapshot["by_expiry"]]}


def test_snapshots_of_schema_1_are_read() -> None:
    for underlying, written in last_snapshots().items():
        snapshot = from_json(json.dumps(written).encode())
        assert (snapshot.schema, snapshot.underlying, snapshot.spot) == (1, underlying, written["spot"])
        assert differences(json.loads(to_json(snapshot, "replay")), written) == []


@pytest.mark.slow
def test_the_recording_gives_the_snapshots_it_gave() -> None:
    (recording,) = shared_data.compat().glob("*.dfj")
    snapshots: dict[str, FlowSnapshot] = {}
    play_to_end(open_source(recording, None, FlowParams()), lambda s: snapshots.update({s.underlying: s}))
    expected = last_snapshots()
    assert set(snapshots) == set(expected) == set(UNDERLYINGS)
    for underlying, snapshot in snapshots.items():
        assert differences(json.loads(to_json(snapshot, "replay")), as_defined_then(expected[underlying])) == []


def test_positions_stored_by_the_estimator_before_start_the_present_one() -> None:
    """Its means and deviations: nothing is a whole history, and a state that is written then is of this version."""
    checkpoint, states, _, problems = decode_checkpoint((shared_data.compat() / "positions.state").read_bytes())
    assert (checkpoint.version, problems) == (EARLIER_VERSION, ())
    assert set(states) == set(UNDERLYINGS)
    for state in states.values():
        book, interest = state.book, state.book.state.interest
        assert book.names
        assert (interest > 0.0).any()
        assert book.seq.any()
        assert not book.full_history.any()
        assert (np.abs(book.estimate.net) <= interest * (1.0 + 1e-12)).all()
        assert (book.estimate.high - book.estimate.low)[interest > 0.0].min() > 0.0
    written = PositionsCheckpoint.from_states("host", "x", 1, {"BTC": states["BTC"]}, checkpoint)
    again = decode_checkpoint(encode_checkpoint(written))
    assert again.checkpoint.version == VERSION
    assert set(again.states) == set(UNDERLYINGS), "an entry of the version before is carried over as it stands"
    np.testing.assert_array_equal(again.states["BTC"].book.estimate.members, states["BTC"].book.estimate.members)


@pytest.mark.slow
def test_stored_prints_replace_the_starts_that_the_state_before_gave(tmp_path: Path) -> None:
    """No option counts as whole, so that the backfill reads every one; those of the trade store become whole lives."""
    restored = decode_checkpoint((shared_data.compat() / "positions.state").read_bytes())
    book = restored.states["BTC"].book
    assert find_resume_point([book], {}).full_history == frozenset()
    with TradeStore(copy_of("trades.sqlite", tmp_path), clock=lambda: LAST_NS, flush_interval_s=None) as trades:
        stored = trades.stored()
        counts = {name: stored[name].contiguous_count for name in book.names if name in stored}
        name = max(counts, key=lambda name: (counts[name], name))
        prints = decode_stored("deribit", name, encode_stored(trades.read_rows(name, counts[name])))
    row, ones = book.names.index(name), np.ones(len(prints), np.int64)
    life = PrintColumns(
        row * ones, np.array([p.exch_ns for p in prints]), np.array([float(p.side) for p in prints]),
        np.array([p.size for p in prints]), 0 * ones, np.array([p.seq for p in prints]),
    )  # fmt: skip
    assert len(prints) == counts[name] > 500
    rebuilt = with_histories(book.state, life, FlowParams().priors)
    after = estimate(rebuilt, book.estimate)
    others = np.arange(len(book.names)) != row
    assert (rebuilt.listing.listed_ns > 0).tolist() == (~others).tolist()
    assert after.sources[row, SOURCES.index("start")] == 0.0 != book.estimate.sources[row, SOURCES.index("start")]
    np.testing.assert_array_equal(rebuilt.moments[:, :, others], book.state.moments[:, :, others])


def test_a_file_of_the_version_before_is_taken_whatever_its_priors(tmp_path: Path) -> None:
    copy_of("positions.state", tmp_path)
    checkpoint = decode_checkpoint((tmp_path / "positions.state").read_bytes()).checkpoint
    file = PositionsStateFile(tmp_path / "positions.state", checkpoint.exchange, priors_digest(FlowParams().priors))
    assert file.load() == checkpoint
    assert file.error is None


def test_the_history_is_read_and_extended(tmp_path: Path) -> None:
    path, expected = copy_of("history.sqlite", tmp_path), last_snapshots()
    with History(path, clock=lambda: LAST_NS) as history:
        for underlying in UNDERLYINGS:
            rows = history.rows_since(underlying, 0)
            assert len(rows) == 50
            assert (rows[-1].ts_ns, rows[-1].spot) == (LAST_NS, expected[underlying]["spot"])
            assert rows[-1].ngi == pytest.approx(expected[underlying]["metrics"]["ngi"]["value"], rel=1e-9)
            history.append_row(underlying, replace(rows[-1], ts_ns=LAST_NS + SECOND, hpp=1e6))
    with HistoryReader(path) as reader:
        assert set(reader.underlyings()) == set(UNDERLYINGS)
        assert reader.columns("BTC", 0, ["ngi"])["ts_ns"][-1] == LAST_NS + SECOND
        hpp = reader.columns("BTC", 0, ["hpp"])["hpp"]  # redefined since
        assert hpp[-1] == 1e6
        assert np.isnan(hpp[:-1]).all()


def test_stored_prints_are_read(tmp_path: Path) -> None:
    with TradeStore(copy_of("trades.sqlite", tmp_path), clock=lambda: LAST_NS, flush_interval_s=None) as trades:
        stored = trades.stored()
        assert len(stored) == 1228
        assert sum(len(trades.read_rows(name, 10**9)) for name in stored) == 17_142
        assert set(trades.newest_ms()) == set(UNDERLYINGS)
