"""Settings that several faults change at once: each ends by itself, in any order, and the last one leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Layers:
    """The fields of `target` as they were, and the layers over them; the newest layer counts."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._base: dict[str, Any] = {}
        self._layers: list[dict[str, Any]] = []

    def push(self, **values: Any) -> Callable[[], None]:
        """Sets fields; the result takes that back."""
        for name in values:
            if name not in self._base:
                self._base[name] = getattr(self._target, name)
        self._layers.append(values)
        self._apply()

        def remove() -> None:
            self._layers[:] = [layer for layer in self._layers if layer is not values]
            self._apply()

        return remove

    def _apply(self) -> None:
        settings = dict(self._base)
        for layer in self._layers:
            settings |= layer
        for name, value in settings.items():
            setattr(self._target, name, value)
