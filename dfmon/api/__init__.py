"""The Python API for notebooks and programs; `import dfmon` gives the same names."""

from dfmon.api.board import Board
from dfmon.api.dealer_tape import dealer_positions
from dfmon.api.functions import exposures, flip, greeks, implied_vol, models, use_compiled
from dfmon.api.what_if import what_if

__all__ = [
    "Board", "dealer_positions", "exposures", "flip", "greeks", "implied_vol", "models", "use_compiled", "what_if",
]  # fmt: skip
