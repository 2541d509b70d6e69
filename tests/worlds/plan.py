"""What happens in a world: its seed, its length, and the faults that are injected, when and where.

A plan follows from its seed, or comes from a file that a failing world wrote.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dfmon.model.errors import UsageError
from tests.worlds.faults import FAULTS, HOSTS

VERSION: Final = 1
SETTLING_S: Final = 60.0  # without faults, at the beginning
HEALING_S: Final = 180.0  # and at the end
MIN_MINUTES: Final = 5.0
TICK_RANGE_S: Final = 0.1, 60.0
MAX_SEED: Final = 2**63 - 1


class Injection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault from `at_s` on for `duration_s`; on the way to `host`, if it is one of a line."""

    fault: str
    at_s: Annotated[float, Meta(ge=0.0)]
    duration_s: Annotated[float, Meta(ge=0.0)]
    host: str


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A world; `tests.worlds.world` runs it."""

    seed: int
    minutes: Annotated[float, Meta(gt=0.0, le=1440.0)]
    injections: tuple[Injection, ...]
    tick_s: Annotated[float, Meta(ge=TICK_RANGE_S[0], le=TICK_RANGE_S[1])] = 1.0
    version: int = VERSION


def plan_of_seed(seed: int, minutes: float = 10.0, only: tuple[str, ...] = (), tick_s: float = 1.0) -> Plan:
    """Up to eight faults, some of them at once; `only` limits their kinds."""
    rng = random.Random(f"plan {seed}")
    names = only or tuple(FAULTS)
    last_s = minutes * 60.0 - HEALING_S
    injections = []
    for _ in range(rng.randint(1, 8)):
        name = rng.choice(names)
        shortest, longest = FAULTS[name].seconds
        duration_s = round(rng.uniform(shortest, min(longest, last_s - SETTLING_S)), 3)
        at_s = round(rng.uniform(SETTLING_S, last_s - duration_s), 3)
        injections.append(Injection(name, at_s, duration_s, rng.choice((*HOSTS, ""))))
    return Plan(seed, minutes, tuple(sorted(injections, key=lambda each: each.at_s)), tick_s)


def read_plan(path: Path) -> Plan:
    """The plan of a file. Raises UsageError with one sentence."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise UsageError(f"{path}: {(exc.strerror or str(exc)).lower()}") from None
    try:
        version = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("version", msgspec.Raw(b"null"))
        if bytes(version) != str(VERSION).encode():
            raise UsageError(f"{path}: a world of version {bytes(version).decode()}, this is version {VERSION}")
        plan = msgspec.json.decode(data, type=Plan)
    except msgspec.DecodeError as exc:
        raise UsageError(f"{path} is no world: {exc}") from None
    for injection in plan.injections:
        check_fault(injection.fault)
        if injection.host not in ("", *HOSTS):
            raise UsageError(f"{path}: no host is named {injection.host!r}; there are {', '.join(HOSTS)}")
    return plan


def check_fault(name: str) -> str:
    """Raises UsageError for a name that is not in the table."""
    if name not in FAULTS:
        raise UsageError(f"no fault is named {name!r}; there are {', '.join(FAULTS)}")
    return name


def write_plan(plan: Plan, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plan)) + b"\n")
