from dfmon.core.flip.regime import Regime, RegimeEdge
from dfmon.core.scenario.alerts import flip_alert
from dfmon.core.scenario.flip_crossing import Crossing, FlipSide, update_flip_side
from dfmon.model.units import SECOND
from tests.chains import NOW


def edge(level: float, width: float | None = None, rising: bool = True) -> RegimeEdge:
    if width is None:
        return RegimeEdge(level, rising, None, None, None)
    return RegimeEdge(level, rising, level - width, level + width, 0.9)


def regime(spot: float, *edges: RegimeEdge, side: int | None = None) -> Regime:
    """The regime between these edges, long above a rising one."""
    below = max((e for e in edges if e.level <= spot), key=lambda e: e.level, default=None)
    above = min((e for e in edges if e.level > spot), key=lambda e: e.level, default=None)
    if side is None:
        side = (1 if below.rising else -1) if below else (-1 if above and above.rising else 1)
    nearest = min(edges, key=lambda e: abs(e.level - spot), default=None)
    return Regime(side, None, tuple(edges), below, above, nearest, None)


def crossings(ticks: list[tuple[int, float, Regime | None]]) -> list[tuple[int, str, bool, int]]:
    """(second, cause, up, side) of each crossing."""
    found: list[tuple[int, str, bool, int]] = []
    state = FlipSide.initial()
    for second, spot, now in ticks:
        state, crossing = update_flip_side(state, now, spot, NOW + second * SECOND)
        if crossing is not None:
            found.append((second, crossing.cause, crossing.up, crossing.side))
    return found


def spot_path(spots: list[float], *edges: RegimeEdge) -> list[tuple[int, float, Regime | None]]:
    return [(second, spot, regime(spot, *edges)) for second, spot in enumerate(spots)]


def test_first_side_is_no_crossing() -> None:
    assert crossings(spot_path([95.0] * 30, edge(100.0, 1.0))) == []


def test_spot_crosses_when_it_has_been_clear_of_the_band_for_ten_seconds() -> None:
    path = [95.0] * 5 + [100.5] * 60 + [101.5] * 11
    assert crossings(spot_path(path, edge(100.0, 1.0))) == [(75, "spot", True, 1)]
    assert crossings(spot_path(path[:-1], edge(100.0, 1.0))) == []
    assert crossings(spot_path([105.0, *[98.0] * 12], edge(100.0, 1.0))) == [(11, "spot", False, -1)]


def test_spot_at_the_end_of_the_band_is_on_neither_side() -> None:
    assert crossings(spot_path([95.0] * 5 + [101.0] * 30, edge(100.0, 1.0))) == []
    assert crossings(spot_path([105.0] * 5 + [99.0] * 30, edge(100.0, 1.0))) == []


def test_trembling_in_and_around_the_band_is_no_crossing() -> None:
    path = [95.0, *([100.9, 99.1] * 50), *([101.5] * 9 + [100.5]) * 5, 95.0]
    assert crossings(spot_path(path, edge(100.0, 1.0))) == []


def test_a_flip_that_moves_through_spot_is_not_a_move_of_spot() -> None:
    ticks = [(s, 100.0, regime(100.0, edge(105.0 if s < 5 else 96.0, 1.0))) for s in range(20)]
    assert crossings(list(ticks)) == [(15, "book", True, 1)]


def test_another_root_becoming_the_nearest_is_no_crossing() -> None:
    low, high = edge(95.0, 1.0), edge(104.0, 1.0, rising=False)
    assert crossings(spot_path([97.0] * 20 + [102.0] * 20, low, high)) == []


def test_a_flip_that_vanishes_and_returns_on_the_same_side_is_no_crossing() -> None:
    path: list[tuple[int, float, Regime | None]] = [(s, 100.0, regime(100.0, edge(95.0, 1.0))) for s in range(20)]
    gone: list[tuple[int, float, Regime | None]] = [(20 + s, 100.0, regime(100.0, side=1)) for s in range(20)]
    assert crossings([*path, *gone, (40, 100.0, None), (41, 100.0, regime(100.0, edge(95.0, 1.0)))]) == []


def test_stale_inputs_break_the_ten_seconds_and_keep_the_side() -> None:
    low = edge(100.0, 1.0)
    ticks: list[tuple[int, float, Regime | None]] = [(0, 95.0, regime(95.0, low))]
    ticks += [(s, 103.0, None if s == 8 else regime(103.0, low)) for s in range(1, 20)]
    assert crossings(ticks) == [(19, "spot", True, 1)]


def test_an_edge_that_few_members_have_is_no_side() -> None:
    unbanded = RegimeEdge(100.0, True, None, None, 0.3)
    assert crossings(spot_path([95.0] * 5 + [105.0] * 30, unbanded)) == []


def test_a_convention_crosses_at_its_level() -> None:
    assert crossings(spot_path([99.9, *[100.1] * 12], edge(100.0))) == [(11, "spot", True, 1)]


def test_alert_names_coin_model_and_cause() -> None:
    by_spot = flip_alert(1, "BTC", "flow", 101.5, Crossing(1, "spot", True, edge(100.0, 1.0)))
    assert by_spot.text == "BTC flow: spot 102 left the flip band 99 to 101 upward, dealers long gamma"
    assert (by_spot.underlying, by_spot.model, by_spot.cause) == ("BTC", "flow", "spot")
    by_book = flip_alert(1, "ETH", "naive", 100.0, Crossing(-1, "book", False, edge(105.0)))
    assert by_book.text == (
        "ETH naive: positions or volatility moved the flip 105 through spot 100, dealers short gamma"
    )
