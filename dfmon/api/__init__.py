"""The Python API for notebooks and programs; `import dfmon` gives the same names."""

from dfmon.api.board import Board
from dfmon.api.functions import exposures, flip, greeks, implied_vol, models, use_compiled

__all__ = ["Board", "exposures", "flip", "greeks", "implied_vol", "models", "use_compiled"]
