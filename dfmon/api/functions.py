"""The Python API for notebooks and other programs: greeks, implied volatility, exposures of a board, its gamma flip.

`import dfmon` gives these names. The kernels mask what they cannot price; here bad arguments raise a ValueError that
names the argument. Volatilities are decimals (0.5 is 50 %), times are years (ACT/365), prices are in USD.
"""

from __future__ import annotations

import threading
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from dfmon.api.board import Board
from dfmon.api.results import BoardFlip, Exposures, Groups
from dfmon.api.validation import (
    Positions,
    broadcast_columns,
    check_choice,
    equal_columns,
    float_array,
    option_types,
)
from dfmon.core.exposure.unit_exposure import UnitExposure, unit_exposures
from dfmon.core.exposure.vanna_charm_volga import Totals, group_totals, member_totals, model_row, totals
from dfmon.core.flip.coin_gamma import CoinOptions
from dfmon.core.flip.gamma_flip import HORIZONS, find_flip
from dfmon.core.flip.grid import Stickiness
from dfmon.core.flip.joint_search import find_flips
from dfmon.core.flip.regime import find_regime
from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.greek_buffers import COLUMNS, GreekBuffers, Greeks, Scratch
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.core.pricing.greek_calc import greeks as _greeks
from dfmon.core.pricing.implied_vol import ImpliedVolatility, implied_volatility
from dfmon.core.pricing.settlement import Settlement, settlement_terms
from dfmon.model.metrics import EXPOSURE_NAMES
from dfmon.model.snapshot import ModelRow

BAND: Final = (0.05, 0.95)
Horizon: TypeAlias = Literal["today", "week", "all"]
_thread = threading.local()


def greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    sigma: ArrayLike,
    tau: ArrayLike,
    option_type: ArrayLike = "call",
    *,
    settlement: Settlement = "instant",
    numeraire: Numeraire = "usd",
) -> Greeks:
    """Price, delta, gamma, vega, theta, vanna, charm and volga: Black-76 on the forward, r = 0.

    Arguments broadcast against each other; the results have their common shape. A row that cannot be priced is NaN in
    every column, False in `valid` and counted in `invalid`.

    Units: sigma 1.00 = 100 %; tau years; vega and vanna per 1.00 of sigma; theta and charm per year of calendar time.
    Shapes: arguments broadcast.
    Errors: ValueError for text, ragged or unmatched shapes.
    Source: see `dfmon.core.pricing.greek_calc.greeks`.

    >>> g = greeks(100_000, [90_000, 110_000], 0.5, 7 / 365, ["put", "call"])
    >>> g.delta.round(4).tolist(), g.invalid
    ([-0.0598, 0.0898], 0)
    """
    check_choice("settlement", settlement, ("instant", "average"))
    check_choice("numeraire", numeraire, ("usd", "coin"))
    as_given = equal_columns(forward, strike, sigma, tau, option_type)
    if as_given is not None:
        return _price(as_given, settlement, numeraire)
    columns, shape = broadcast_columns({
        "forward": float_array("forward", forward),
        "strike": float_array("strike", strike),
        "sigma": float_array("sigma", sigma),
        "tau": float_array("tau", tau),
        "option_type": option_types("option_type", option_type),
    })  # fmt: skip
    g = _price(columns, settlement, numeraire)
    return g._replace(**{name: getattr(g, name).reshape(shape) for name in (*COLUMNS, "valid")})


def _price(columns: tuple[F64, ...], settlement: Settlement, numeraire: Numeraire) -> Greeks:
    """Greeks in new memory, by scratch that this thread keeps for the next chain of the same size."""
    size = columns[0].shape[0]
    scratch: Scratch | None = getattr(_thread, "scratch", None)
    if scratch is None or scratch.size != size:
        scratch = _thread.scratch = Scratch(size)
    forward, strike, sigma, tau, option_type = columns
    out = GreekBuffers(size, scratch=scratch)
    return _greeks(forward, strike, sigma, tau, option_type, settlement=settlement, numeraire=numeraire, out=out)


def implied_vol(
    price: ArrayLike, forward: ArrayLike, strike: ArrayLike, tau: ArrayLike, option_type: ArrayLike = "call"
) -> ImpliedVolatility:
    """The volatility at which Black-76 gives the price; NaN, and counted, where none does.

    Units: price and forward in one currency (a Deribit price in coins times the forward); sigma decimal.
    Shapes: arguments broadcast.
    Errors: ValueError for text, ragged or unmatched shapes.
    Source: see `dfmon.core.pricing.implied_vol.implied_volatility`.

    >>> implied_vol(7.9656, 100, 100, 1.0).sigma.round(5).tolist()
    0.2
    """
    columns, shape = broadcast_columns({
        "price": float_array("price", price),
        "forward": float_array("forward", forward),
        "strike": float_array("strike", strike),
        "tau": float_array("tau", tau),
        "option_type": option_types("option_type", option_type),
    })  # fmt: skip
    solution = implied_volatility(*columns)
    return ImpliedVolatility(solution.sigma.reshape(shape), solution.failed.reshape(shape), solution.failures)


def exposures(
    board: Board,
    positions: Positions = "naive",
    *,
    settlement: Settlement = "average",
    numeraire: Numeraire = "usd",
    members: ArrayLike | None = None,
) -> Exposures:
    """NGI, VSS, CHL, VOLG, vega, theta and unwind of a book: in all, by strike and by expiry.

    `members` are books drawn from what is not known about the positions, one column each; `low` and `high` are over
    their totals.

    Units: USD, see `Totals` and `UnitExposure`; positions and members in coins, dealers long = +.
    Shapes: as the board; members (n, M).
    Domain: ValueError for positions or members that do not fit the board.
    Source: see `dfmon.core.exposure.unit_exposure` and `dfmon.core.exposure.vanna_charm_volga`.

    >>> board = Board(spot=1e5, strike=[1e5], sigma=0.5, tau=7 / 365, option_type="call", open_interest=100)
    >>> round(exposures(board).totals.ngi)
    575807
    """
    check_choice("settlement", settlement, ("instant", "average"))
    check_choice("numeraire", numeraire, ("usd", "coin"))
    given = _check_board(board).held(positions)
    position = _zero_unknown(given)
    unit = unit_exposures(
        board.forward, board.strike, board.sigma, board.tau, board.option_type,
        settlement=settlement, numeraire=numeraire, inverse=board.inverse,
    )  # fmt: skip
    by_strike, by_expiry = _group_exposures(unit, position, board.strike), _group_exposures(unit, position, board.tau)
    low = high = None
    if members is not None:
        sums = member_totals(unit, _member_books(members, board))
        low, high = map(Totals.from_array, np.quantile(sums, BAND, axis=1))
    invalid = int(np.count_nonzero(~(unit.valid & np.isfinite(given))))
    return Exposures(totals(unit, position), by_strike, by_expiry, position, unit, invalid, low, high)


def models(board: Board, **custom: Positions) -> dict[str, ModelRow]:
    """NGI, VSS, CHL, VOLG and flip under every position model, by name: the conventions, and books given by name.

    Units: USD; positions in coins, dealers long = +.
    Shapes: one row a model.
    Domain: ValueError for positions that do not fit the board.
    Source: see `exposures` and `flip`.

    >>> board = Board(spot=1e5, strike=[1e5], sigma=0.5, tau=7 / 365, option_type="call", open_interest=100)
    >>> {name: round(row.ngi) for name, row in models(board, mine=[25]).items()}
    {'naive': 575807, 'short-all': -575807, 'mine': 143952}
    """
    rows_by_model = {}
    for name, position in {"naive": "naive", "short-all": "short-all", **custom}.items():
        total, solution = exposures(board, position).totals, flip(board, position)
        rows_by_model[name] = model_row(name, total, solution.level, solution.sign)
    return rows_by_model


def flip(
    board: Board,
    positions: Positions = "naive",
    *,
    horizon: Horizon = "all",
    stickiness: Stickiness = "strike",
    settlement: Settlement = "average",
    numeraire: Numeraire = "usd",
    members: ArrayLike | None = None,
) -> BoardFlip:
    """The gamma flip: the zero nearest to spot, all zeros, and their bands if several books are given.

    `horizon` keeps the options that expire within a day ("today"), a week, or all. `members` are books drawn from
    what is not known about the positions, one column each; the bands of the edges, `agree` and `p_none` are over them.
    A member's zeros are matched to those of the book by direction and order.

    Units: USD; positions and members in coins.
    Shapes: members (n, M).
    Domain: ValueError for arguments that do not fit the board.
    Source: see `dfmon.core.flip.gamma_flip`.

    >>> board = Board(spot=100, strike=[90, 110], sigma=0.5, tau=0.02, option_type=["put", "call"], open_interest=1)
    >>> found = flip(board)
    >>> round(found.level, 3), found.direction
    (99.25, 'up')
    """
    max_tau = HORIZONS[check_choice("horizon", horizon, ("today", "week", "all"))]
    check_choice("stickiness", stickiness, ("strike", "moneyness"))
    check_choice("settlement", settlement, ("instant", "average"))
    check_choice("numeraire", numeraire, ("usd", "coin"))
    position = _zero_unknown(_check_board(board).held(positions))
    terms = settlement_terms(board.forward, board.strike, board.tau) if settlement == "average" else None
    strike, tau = (board.strike, board.tau) if terms is None else (terms.strike, terms.tau)
    share = np.where(board.tau <= max_tau, 1.0 if terms is None else terms.share, 0.0)
    coin = CoinOptions(board.option_type, board.inverse) if numeraire == "coin" else None
    columns = board.spot, board.forward, strike, board.sigma, tau
    if members is None:
        alone = find_flip(*columns, position * share, stickiness=stickiness, expiry=board.tau, coin=coin)
        return BoardFlip.from_flip(alone, find_regime(board.spot, alone), board.spot)
    books = _member_books(members, board) * share[:, None]
    found = find_flips(*columns, (position * share)[:, None], books, stickiness=stickiness, expiry=board.tau, coin=coin)
    regime = find_regime(board.spot, found.flips[0], found.roots, found.profiles)
    return BoardFlip.from_flip(found.flips[0], regime, board.spot)


def _check_board(board: object) -> Board:
    if not isinstance(board, Board):
        raise ValueError(f"board: a dfmon.Board is expected, not {type(board).__name__}")
    return board


def _zero_unknown(position: F64) -> F64:
    """Positions with 0 where none is known: a NaN there must not take the whole sum with it."""
    return np.where(np.isfinite(position), position, 0.0)


def _member_books(members: ArrayLike, board: Board) -> F64:
    books = float_array("members", members)
    if books.ndim != 2 or books.shape[0] != board.size or not books.shape[1]:
        raise ValueError(f"members: shape {books.shape}, ({board.size}, M) is expected, one column a book")
    return _zero_unknown(books)


def _group_exposures(unit: UnitExposure, position: F64, column: F64) -> Groups:
    keys, codes = np.unique(column, return_inverse=True)
    sums = group_totals(unit, position, codes, keys.shape[0])
    return Groups(keys, **dict(zip(EXPOSURE_NAMES, sums)))


def use_compiled(wanted: bool = True) -> bool:
    """Lets the compiled kernels of the extra `fast` price in this process, or numpy again.

    The same functions give the same numbers to 1e-12 of their scale. Returns whether the kernels are there: False, and
    numpy goes on, where numba is not installed. The first call ever compiles for some seconds; later ones only load.
    """
    return compiled.select_kernels(wanted)
