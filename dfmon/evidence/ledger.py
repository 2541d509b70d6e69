"""The ledger of evaluations. Hypotheses are entered before a source is read, results after.

`trials` counts what was ever looked at, so that the best of many is not taken for the first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dfmon.evidence.hash_chain import HashChain


class Ledger:
    """The hypotheses and runs of a file. Raises DfmonError where it was changed."""

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self._chain = HashChain(path, clock, "ledger")

    def register(self, hypotheses: str) -> str:
        """The time at which these hypotheses were first entered; enters them if they are new."""
        for entry in self._chain.entries:
            if entry.get("kind") == "hypotheses" and entry.get("digest") == hypotheses:
                return str(entry["time"])
        return str(self._chain.append({"kind": "hypotheses", "digest": hypotheses})["time"])

    def enter_run(self, hypotheses: str, source: str, source_digest: str, result: str) -> None:
        """Enters a run: hashes of hypotheses, source and result."""
        self._chain.append(
            {"kind": "run", "hypotheses": hypotheses, "source": source, "digest": source_digest, "result": result}
        )

    def trials(self, hypotheses: str, source_digest: str) -> int:
        """Number of different pairs of hypotheses and source that were run, this one among them."""
        pairs = {(e["hypotheses"], e["digest"]) for e in self._chain.entries if e.get("kind") == "run"}
        return len(pairs | {(hypotheses, source_digest)})
