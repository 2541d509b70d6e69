"""dfmon: a terminal monitor of dealer flow in crypto options, and its pricing as a library.

The names of `dfmon.api` are imported on first use, so that they do not slow the start of the monitor. Nothing of the
standard library is imported here either: until `__main__` handles interrupts, one of them is a traceback.
"""

from __future__ import annotations

from dfmon.version import __version__

TYPE_CHECKING = False  # as that of `typing`
if TYPE_CHECKING:
    from dfmon.api import (
        Board,
        dealer_positions,
        exposures,
        flip,
        greeks,
        implied_vol,
        models,
        use_compiled,
        what_if,
    )

__all__ = [
    "Board", "__version__", "dealer_positions", "exposures", "flip", "greeks", "implied_vol", "models", "use_compiled",
    "what_if",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name in __all__:
        import importlib

        value: object = getattr(importlib.import_module("dfmon.api"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
