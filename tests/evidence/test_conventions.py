"""Conventions of sums found again from made figures, with the cause of each cell that does not follow its column."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.evidence.conventions import (
    DFMON,
    SIGNS,
    Column,
    Convention,
    VendorChain,
    causes,
    cell_cause,
    find_conventions,
    sums,
)


def made_chain(seed: int = 1) -> VendorChain:
    rng = np.random.default_rng(seed)
    n = 60
    forward = np.repeat([100_500.0, 102_000.0, 104_000.0], 20)
    return VendorChain(
        np.repeat(["A", "B", "C"], 20), 100_000.0 * (1.0 + 0.1 * rng.standard_normal(n)),
        np.resize([1.0, -1.0], n), np.round(2e-5 * rng.random(n), 5), 100.0 * rng.random(n),
        0.5 + 0.1 * rng.random(n), np.repeat([0.02, 0.1, 0.3], 20), forward, 100_100.0,
    )  # fmt: skip


CONVENTIONS = [
    DFMON,
    Convention("printed", "spot", 2, 1e-6, SIGNS[0]),
    Convention("recomputed", "forward", 1, 100.0, SIGNS[2]),
    Convention("printed", "spot", 0, 1.0, SIGNS[1]),
]


def columns_of(chain: VendorChain, convention: Convention, *kinds: str) -> dict[str, Column]:
    exposure = chain.exposure(convention)
    return {kind: Column.of(kind, sums(chain, exposure, kind)) for kind in kinds}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_convention_is_found_from_its_figures(convention: Convention) -> None:
    chain = made_chain()
    found = find_conventions(chain, columns_of(chain, convention, "net", "calls", "positive"))
    assert {match.convention for match in found.values()} == {convention}
    assert all(match.is_exact for match in found.values())
    assert bool(causes(chain, convention)) == (convention != DFMON)


def test_columns_of_two_units_have_a_convention_each() -> None:
    chain = made_chain()
    plain, usd = (Convention("printed", "spot", power, 100.0, SIGNS[2]) for power in (0, 1))
    columns = columns_of(chain, plain, "net", "calls", "puts")
    columns |= {f"{name} usd": column for name, column in columns_of(chain, usd, "net", "calls", "puts").items()}
    found = find_conventions(chain, columns)
    assert {name: match.convention for name, match in found.items()} == {
        name: usd if name.endswith("usd") else plain for name in columns
    }


def test_figures_printed_with_two_decimals_are_reproduced() -> None:
    chain, convention = made_chain(), CONVENTIONS[1]
    columns = columns_of(chain, convention, "net")
    rounded = {"net": Column.of("net", {name: round(value, 2) for name, value in columns["net"].values.items()})}
    assert find_conventions(chain, rounded)["net"].is_exact
    changed = {name: value + 0.02 for name, value in rounded["net"].values.items()}
    assert not find_conventions(chain, {"net": Column.of("net", changed)})["net"].is_exact


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda value, _: 1.5 * value, "no convention gives it, it is 1.5 times what the column follows"),
        (lambda value, _: -value, "it follows calls -, puts +"),
        (lambda value, _: 1e-6 * value, "it follows x 1e-06"),
        (lambda _, forward: forward, "it follows forward as price"),
    ],
)
def test_the_cause_of_one_wrong_cell_is_named(change: object, sentence: str) -> None:
    chain = made_chain()
    convention = Convention("printed", "spot", 2, 1.0, SIGNS[0])
    columns = columns_of(chain, convention, "net", "calls")
    other = sums(chain, chain.exposure(convention._replace(price="forward")), "net")
    assert callable(change)
    values = {**columns["net"].values, "B": change(columns["net"].values["B"], other["B"])}
    columns["net"] = Column.of("net", values)
    found = find_conventions(chain, columns)
    assert found["net"].convention == convention
    assert found["net"].hits == [True, False, True]
    assert cell_cause(chain, found["net"], columns["net"], "B") == sentence


def test_a_factor_of_no_unit_is_taken_from_the_column() -> None:
    chain = made_chain()
    convention = Convention("printed", "spot", 2, 1.5, SIGNS[0])
    found = find_conventions(chain, columns_of(chain, convention, "net", "calls"))
    assert found["net"].convention == convention
    assert found["net"].is_exact
    assert "1.5 where dfmon has 0.01, which is no unit" in causes(chain, convention)[-1]


def test_a_group_that_the_chain_lacks_is_said() -> None:
    chain = made_chain()
    columns = columns_of(chain, DFMON, "net")
    columns["net"] = Column.of("net", {**columns["net"].values, "D": 1.0})
    found = find_conventions(chain, columns)["net"]
    assert cell_cause(chain, found, columns["net"], "D") == "the chain has no option of it"


def test_exposure_is_gamma_interest_and_the_square_of_the_price() -> None:
    chain = made_chain()
    expected = chain.option_type * chain.gamma * chain.open_interest * chain.spot**2
    assert chain.exposure(Convention("printed", "spot", 2, 1.0, SIGNS[0])) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["net", "calls", "puts", "positive", "negative"])
def test_sums_are_those_of_a_loop(kind: str) -> None:
    chain = made_chain()
    exposure = chain.exposure(DFMON)
    for group, value in sums(chain, exposure, kind).items():
        rows = [n for n in range(60) if chain.group[n] == group]
        by_strike = {k: sum(exposure[n] for n in rows if chain.strike[n] == k) for k in chain.strike[rows]}
        expected = {
            "net": sum(exposure[rows]),
            "calls": sum(exposure[n] for n in rows if chain.option_type[n] > 0),
            "puts": sum(exposure[n] for n in rows if chain.option_type[n] < 0),
            "positive": sum(value for value in by_strike.values() if value > 0.0),
            "negative": sum(value for value in by_strike.values() if value < 0.0),
        }[kind]
        assert value == pytest.approx(expected)


def test_figures_of_no_convention_are_not_called_a_match() -> None:
    values = dict(zip("ABC", np.random.default_rng(3).standard_normal(3).tolist()))
    assert not any(find_conventions(made_chain(), {"net": Column.of("net", values)})["net"].hits)
