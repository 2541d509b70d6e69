"""Two vendors' published files: every figure to the last digit, and each thing that is wrong in one named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfmon.cli.vendor_figures import figure_lines
from dfmon.evidence.level_conventions import find_level
from dfmon.evidence.published import Published
from dfmon.evidence.r1quant import read_r1quant
from dfmon.evidence.tera1oo4 import read_tera1oo4
from dfmon.evidence.vendor_comparison import Comparison, compare_published
from dfmon.model.errors import UsageError
from tests import shared_data
from tests.evidence.test_conventions import made_chain

HEADER = "ts_utc,spot,expiry,total_resistance_musd,total_support_musd,net_balance_musd"
CHAIN_HEADER = "date,expiry_name,expiry_date,strike,type,open_interest,gamma,mark_iv"


@pytest.fixture(scope="module")
def r1quant_files() -> tuple[Path, Path]:
    folder = shared_data.published()
    return folder / "r1quant_gex_20260123T0200Z.csv", folder / "r1quant_chain_20260123T0200Z.csv.gz"


@pytest.fixture(scope="module")
def tera1oo4_document() -> dict[str, Any]:
    path = shared_data.published() / "tera1oo4_gex_btc_20251119T112113Z.json.gz"
    document = json.loads(gzip.decompress(path.read_bytes()))
    assert isinstance(document, dict)
    return document


def different(found: Comparison) -> list[str]:
    columns = [*found.sums, *found.levels, *found.options]
    return [f"{column.name} of {cell.name}: {cell.cause}" for column in columns for cell in column.different]


def test_r1quant_to_every_digit(r1quant_files: tuple[Path, Path]) -> None:
    published = read_r1quant(*r1quant_files)
    found = compare_published(published)
    assert not different(found)
    assert sum(len(column.cells) for column in (*found.sums, *found.levels)) == 48
    assert {column.convention for column in found.sums} == {
        "printed gamma x open interest x spot^2 x 1e-06, calls +, puts -"
    }
    assert "net gamma by strike, mean of 3 strikes" in found.levels[0].convention
    assert found.levels[1].convention == "strike with the most printed gamma of calls alone"
    assert any("leaves out the 1 %" in sentence for sentence in found.choices)
    assert not published.conflicts
    assert published.notes[0].startswith("324 of the chain's 682 options, of 4 expiries without a published figure")
    assert "358 options of 8 expiries are compared" in next(figure_lines(published))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("91452.09369258245", "96452.09369258245", "gamma_flip of 23JAN26: no convention gives it: it is +5,000.00"),
        (",90000,85000,", ",110000,85000,", "call_wall of 6FEB26: no convention gives it: it is +20,000.00"),
        (
            ",90000,85000,",
            ",112000,85000,",
            "call_wall of 6FEB26: it is the strike with the most open interest of calls",
        ),
        ("1039.5783891081574", "-1039.5783891081574", "net_balance_musd of 30JAN26: it follows calls -, puts +"),
        ("52.68580741949128", "79.02871112923692", "net_balance_musd of 25JAN26: no convention gives it, it is 1.5 "),
    ],
)
def test_one_wrong_figure_is_named_with_its_cause(
    r1quant_files: tuple[Path, Path], tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    figures, chain = r1quant_files
    changed = tmp_path / "figures.csv"
    changed.write_text(figures.read_text().replace(old, new))
    (line,) = different(compare_published(read_r1quant(changed, chain)))
    assert line.startswith(sentence)


@pytest.mark.parametrize(
    ("old", "new", "sentences"),
    [
        ("2026-01-23 02:00", "2027-01-23 02:00", ["ts_utc is 2027-01-23T02:00, the date of", "after the expiries"]),
        ("13FEB26", "14FEB26", ["has no option of the expiry 14FEB26"]),
    ],
)
def test_times_and_days_that_do_not_fit_are_said(
    r1quant_files: tuple[Path, Path], tmp_path: Path, old: str, new: str, sentences: list[str]
) -> None:
    figures, chain = r1quant_files
    changed = tmp_path / "figures.csv"
    changed.write_text(figures.read_text().replace(old, new))
    conflicts = read_r1quant(changed, chain).conflicts
    assert len(conflicts) == len(sentences)
    assert all(sentence in conflict for sentence, conflict in zip(sentences, conflicts))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("2026-01-23T02:00", "2026-01-25T02:00", "its greeks are of 2026-01-23T01:4"),
        (",13FEB26,2026-02-13,", ",13FEB26,2026-02-14,", "expiry_name and expiry_date differ: 13FEB26 is 14FEB26"),
        ("BTC-13FEB26-100000-C", "BTC-13FEB26-100001-C", "1 options whose name has another expiry, strike or type"),
    ],
)
def test_a_chain_that_contradicts_itself_is_said(
    r1quant_files: tuple[Path, Path], tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    figures, chain = r1quant_files
    changed = tmp_path / "chain.csv"
    changed.write_text(gzip.decompress(chain.read_bytes()).decode().replace(old, new))
    assert any(sentence in conflict for conflict in read_r1quant(figures, changed).conflicts)


def tera1oo4(document: dict[str, Any], folder: Path) -> Published:
    path = folder / "tera.json"
    path.write_text(json.dumps(document))
    return read_tera1oo4(path, None)


def test_tera1oo4_with_its_two_faults(tera1oo4_document: dict[str, Any], tmp_path: Path) -> None:
    published = tera1oo4(tera1oo4_document, tmp_path)
    found = compare_published(published)
    assert not different(found)
    assert sum(len(column.cells) for column in (*found.sums, *found.options)) == 6 * 11 + 2 * 686
    sentences = " | ".join(found.choices)
    assert "adds calls and puts" in sentences
    assert "multiplies by 100, the size of an equity contract" in sentences
    assert "opposite" not in sentences
    assert not published.conflicts
    assert all(fact.published == fact.found for fact in published.facts)
    assert "74 options of rawData that the figures leave out, 74 of them without open interest" in published.notes[0]


def _total_usd(document: dict[str, Any]) -> None:
    document["gammaByExpiration"]["2025-11-21"]["total_gamma_usd"] = -5


def _option(document: dict[str, Any]) -> None:
    document["gammaByExpiration"]["2025-11-20"]["instruments"][0]["gamma_exposure_usd"] *= 1.5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_total_usd, "total_gamma_usd of 2025-11-21: no convention gives it"),
        (_option, "gamma_exposure_usd of BTC-20NOV25-85000-P: no convention gives it, it is 1.5 times"),
    ],
)
def test_one_wrong_figure_in_usd_is_named(
    tera1oo4_document: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    document = json.loads(json.dumps(tera1oo4_document))
    change(document)
    (line,) = different(compare_published(tera1oo4(document, tmp_path)))
    assert line.startswith(sentence)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("timestamp", "2025-11-18T11:21:13.295Z", "the replies are of 2025-11-19T11:20"),
        ("indexPrice", 91_000.0, "indexPrice is 91,000.00, in the replies 91,629.58"),
        ("totalExpirations", 12, "totalExpirations 12: CONTRADICTION: its options give 11"),
        ("expirationDates", ["2025-11-20"], "expirationDates 2025-11-20: CONTRADICTION: its options give 2025-11-20, "),
        ("mood", "good", "keys that are not read: mood"),
    ],
)
def test_what_contradicts_the_options_is_said(
    tera1oo4_document: dict[str, Any], tmp_path: Path, key: str, value: object, sentence: str
) -> None:
    assert sentence in "\n".join(figure_lines(tera1oo4({**tera1oo4_document, key: value}, tmp_path)))


def test_flip_of_a_smoothed_curve_is_that_of_a_loop() -> None:
    chain = made_chain(5)
    part = chain.where(chain.group == "A")
    net = sorted((k, g * q * s) for k, g, q, s in zip(part.strike, part.gamma, part.open_interest, part.option_type))
    smooth = [(net[n][0], sum(value for _, value in net[n - 1 : n + 2]) / 3.0) for n in range(1, len(net) - 1)]
    zeros = [k0 + (k1 - k0) * v0 / (v0 - v1) for (k0, v0), (k1, v1) in pairwise(smooth) if v0 * v1 < 0.0]
    nearest = min(zeros, key=lambda level: abs(level - part.spot))
    match = find_level(chain, "flip", {"A": nearest})
    assert match.is_exact
    assert "mean of 3 strikes" in match.convention


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n", "has no column ts_utc, spot, expiry"),
        (f"{HEADER}\n2026-01-23,1,A,q,2,3\n", "'q', a number"),
        (f"{HEADER}\nx,1,A,1,2,3\n", "'x' is no time, such as 2026-01-23"),
        (f"{HEADER}\n2026-01-23,1,A,1,2,3\n2026-01-24,1,B,1,2,3\n", "1 spots and 2 times, the figures of one moment"),
        (f"{HEADER}\n2026-01-23,1,A,1,2,3\n2026-01-23,1,A,1,2,3\n", "expiry A has more than one row"),
        ("", "is empty"),
    ],
)
def test_bad_vendor_files_are_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    figures, chain = tmp_path / "figures.csv", tmp_path / "chain.csv"
    figures.write_text(text)
    chain.write_text(f"{CHAIN_HEADER}\n2026-01-23,A,2026-01-30,1,call,1,1,50\n")
    with pytest.raises(UsageError, match=sentence):
        read_r1quant(figures, chain)


def test_a_new_column_is_named_and_a_wrong_date_is_one_sentence(tmp_path: Path) -> None:
    figures, chain = tmp_path / "figures.csv", tmp_path / "chain.csv"
    figures.write_text(f"{HEADER},mood\n2026-01-23,100,30JAN26,1,0,,good\n")
    chain.write_text(f"{CHAIN_HEADER}\n2026-01-23,30JAN26,2026-01-30,100,call,1,0.01,50\n")
    published = read_r1quant(figures, chain)
    assert "columns that are not read: mood" in published.notes[1]
    assert published.notes[0] == "net_balance_musd of 30JAN26, which is empty"
    assert np.isfinite(published.chain.tau).all()
    chain.write_text(f"{CHAIN_HEADER}\n23/01/26,30JAN26,2026-01-30,100,call,1,0.01,50\n")
    with pytest.raises(UsageError, match="'23/01/26' is no time, such as 2026-01-23"):
        read_r1quant(figures, chain)
    with pytest.raises(UsageError, match="--chain FILE is needed"):
        read_r1quant(figures, None)
