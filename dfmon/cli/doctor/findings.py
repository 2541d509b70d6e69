"""One finding of the doctor: a sentence about one thing, and its grade."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from dfmon.version import __version__


class State(StrEnum):
    """`FAILED` makes the doctor's exit code 1; `NOTE` is worth knowing and no fault."""

    OK = "ok"
    NOTE = "note"
    FAILED = "wrong"


class Finding(msgspec.Struct, frozen=True):
    """`about` is a group and a subject, such as `feeds` and a source; `words` are sanitized and contain no secret."""

    about: str
    state: State
    words: str


def ok(about: str, message: str) -> Finding:
    return Finding(about, State.OK, message)


def note(about: str, message: str) -> Finding:
    return Finding(about, State.NOTE, message)


def failure(about: str, message: str) -> Finding:
    return Finding(about, State.FAILED, message)


def healthy(findings: Sequence[Finding]) -> bool:
    return not any(finding.state is State.FAILED for finding in findings)


def as_json(findings: Sequence[Finding]) -> str:
    body = {"dfmon": __version__, "healthy": healthy(findings), "findings": findings}
    return msgspec.json.encode(body).decode()


def as_text(findings: Sequence[Finding]) -> str:
    """A line each, what is wrong marked and summed up."""
    width = max((len(finding.about) for finding in findings), default=0)
    labels = {State.OK: "  ok   ", State.NOTE: "  note ", State.FAILED: "  WRONG"}
    lines = [f"{labels[finding.state]}  {finding.about:<{width}}  {finding.words}" for finding in findings]
    failures = sum(finding.state is State.FAILED for finding in findings)
    verdict = {0: "nothing is wrong", 1: "one thing is wrong"}.get(failures, f"{failures} things are wrong")
    return "\n".join([f"dfmon {__version__}", *lines, verdict])
