"""Comparisons with three truth values, for the rules of the scenarios: true, false, and not known.

NaN stands for an input that is not known: a comparison with it is neither true nor false. Everything here takes one
book (floats) or many (arrays of one length) alike.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

from dfmon.core.scenario.buckets import Bucket


class Comparison(NamedTuple):
    """`left` against `right`; `phrase` replaces the numbers where they say less than a sentence."""

    name: str
    left: Any
    relation: Literal["<", "<=", ">", ">="]
    right: Any
    phrase: str = ""

    def truth(self) -> Truth:
        left, relation, right = self.left, self.relation, self.right
        if relation == ">=":
            return Truth(left >= right, left < right)
        if relation == "<=":
            return Truth(left <= right, left > right)
        if relation == ">":
            return Truth(left > right, left <= right)
        return Truth(left < right, left >= right)

    def __str__(self) -> str:
        if self.phrase:
            return self.phrase
        if self.name == "NGI":
            return f"NGI {self.left / 1e6:+,.1f}M"
        return f"{self.name} {self.left:.3g} {self.relation} {self.right:.3g}"


class Truth(NamedTuple):
    """True, false, or neither where an input is missing; booleans or arrays of them."""

    true: Any
    false: Any


Alternative: TypeAlias = tuple[Comparison, ...]


class Rule(NamedTuple):
    """A bucket and the alternatives that lead to it. `armed`: the squeeze that has not begun."""

    bucket: Bucket
    alternatives: tuple[Alternative, ...]
    armed: bool = False

    def truth(self) -> Truth:
        """True where one alternative is, false where all are. Stops as soon as that is clear for every book."""
        true: Any = False
        false: Any = True
        for alternative in self.alternatives:
            truth = all_true(alternative)
            if truth.true is True:
                return truth
            true, false = true | truth.true, false & truth.false
        return Truth(true, false)


def all_true(alternative: Alternative) -> Truth:
    """True where every comparison is, false where one is. Stops as soon as one is false for every book."""
    true: Any = True
    false: Any = False
    for comparison in alternative:
        truth = comparison.truth()
        if truth.false is True:
            return truth
        true, false = true & truth.true, false | truth.false
    return Truth(true, false)
