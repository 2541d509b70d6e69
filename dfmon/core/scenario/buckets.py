"""The six scenarios, and the state machine that turns the rules' call of each tick into the bucket that holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, NamedTuple

from dfmon.model.units import MINUTE, SECOND

DWELL_NS: Final = 5 * MINUTE
CASCADE_DWELL_NS: Final = 60 * SECOND
MAX_GAP_NS: Final = 90 * SECOND  # calls further apart are a break: what happened between them is not known


class Bucket(IntEnum):
    """Scenario numbers as every output writes them."""

    PIN = 1
    DAMP = 2
    DRIFT = 3
    FLIP_ZONE = 4
    SQUEEZE = 5
    CASCADE = 6

    @property
    def title(self) -> str:
        return self.name.replace("_", "-")

    @property
    def dwell_ns(self) -> int:
        """Time that the rules must call for this bucket, without a break, before it holds."""
        return CASCADE_DWELL_NS if self is Bucket.CASCADE else DWELL_NS


class Scene(NamedTuple):
    """A bucket; `armed` for the SQUEEZE that has not begun, which is a scene of its own."""

    bucket: Bucket
    armed: bool = False

    @property
    def title(self) -> str:
        return f"{self.bucket.title} (armed)" if self.armed else self.bucket.title


@dataclass(frozen=True, slots=True)
class BucketState:
    """The scene that holds since `since_ns`, and the other one that the rules have called for since then.

    `call_ns` is the time of the newest call.
    """

    scene: Scene | None
    since_ns: int
    candidate: Scene | None
    candidate_since_ns: int
    call_ns: int

    @classmethod
    def initial(cls) -> BucketState:
        return cls(None, 0, None, 0, 0)

    @property
    def bucket(self) -> Bucket | None:
        return None if self.scene is None else self.scene.bucket

    def remaining_ns(self, ts_ns: int) -> int:
        """Time until the candidate becomes the scene, 0 without one."""
        if self.candidate is None:
            return 0
        return max(self.candidate.bucket.dwell_ns - (ts_ns - self.candidate_since_ns), 0)


def next_bucket_state(state: BucketState, call: Scene | None, ts_ns: int, grace_ns: int = 0) -> BucketState:
    """The state after the rules' call of this tick; None where inputs are missing or stale.

    Without a call the scene is kept and the candidate forgotten, unless the newest call is at most `grace_ns` old. The
    first scene takes its time like any other.
    """
    if call is None:
        if 0 <= ts_ns - state.call_ns <= grace_ns:
            return state
        return replace(state, candidate=None, candidate_since_ns=0)
    is_break = not 0 <= ts_ns - state.call_ns <= MAX_GAP_NS
    state = replace(state, call_ns=ts_ns)
    if call == state.scene:
        return replace(state, candidate=None, candidate_since_ns=0)
    if call != state.candidate or is_break:
        return replace(state, candidate=call, candidate_since_ns=ts_ns)
    if ts_ns - state.candidate_since_ns < call.bucket.dwell_ns:
        return state
    return BucketState(call, ts_ns, None, 0, ts_ns)
