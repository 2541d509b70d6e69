"""Exact rolling windows over regular samples, for medians, quartiles and look-backs.

Immutable, like all state of `core`: `push` returns a new window. At one sample a minute thirty days are 43,200 rows,
copied once a minute; an approximate sketch would be cheaper but not reproducible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dfmon.model.frames import F64, I64


@dataclass(frozen=True, slots=True)
class RollingWindow:
    """Rows of one width, sampled at most every `step_ns`, at most `rows` of them; times ascend."""

    step_ns: int
    rows: int
    times: I64
    values: F64  # (k, width)

    @classmethod
    def empty(cls, step_ns: int, rows: int, width: int) -> RollingWindow:
        return cls(step_ns, rows, np.zeros(0, np.int64), np.zeros((0, width)))

    def is_sample_due(self, ts_ns: int) -> bool:
        return not self.times.size or ts_ns - int(self.times[-1]) >= self.step_ns

    def push(self, ts_ns: int, row: tuple[float, ...]) -> RollingWindow:
        """The window with this sample, or the same window while the next sample is not due."""
        if not self.is_sample_due(ts_ns):
            return self
        keep = slice(1, None) if self.times.size >= self.rows else slice(None)
        times = np.concatenate([self.times[keep], [ts_ns]])
        values = np.concatenate([self.values[keep], [row]])
        return RollingWindow(self.step_ns, self.rows, times, values)

    def since(self, ts_ns: int) -> F64:
        """Samples taken at or after `ts_ns`, (k, width)."""
        return self.values[int(np.searchsorted(self.times, ts_ns)) :]

    def first_since(self, ts_ns: int) -> tuple[int, F64] | None:
        """The oldest sample taken at or after `ts_ns`: (its time, its row)."""
        index = int(np.searchsorted(self.times, ts_ns))
        return None if index == self.times.size else (int(self.times[index]), self.values[index])
