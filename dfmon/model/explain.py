"""One number of a snapshot, or one word of its first line, written out."""

from __future__ import annotations

import msgspec

from dfmon.model.flip import Quality


class ExplainedInput(msgspec.Struct, frozen=True):
    """One input: its value and unit, its age and the age up to which it is fresh, s; None where it has none."""

    name: str
    value: float | None
    unit: str
    age_s: float | None = None
    limit_s: float | None = None


class Contributor(msgspec.Struct, frozen=True):
    """Part of one option: `unit_value` is that of +1 coin, `share` that of the sum of all sizes."""

    option: str
    position: float
    unit_value: float
    value: float
    share: float


class Convention(msgspec.Struct, frozen=True):
    """The number under another convention, and its change; None where it has no value."""

    name: str
    value: float | None
    lo: float | None
    hi: float | None
    change: float | None


class Explanation(msgspec.Struct, frozen=True):
    """A metric of one tick: formula, terms that add up to it, inputs, largest contributors and other conventions.

    `contributors_sum` is the sum over all options, which is the value for a metric linear in the positions.
    `sign_doubt` is the state of the positions' sign while it is not measured or undecided, else empty.
    """

    metric: str
    title: str
    formula: str
    unit: str
    sign: str
    underlying: str
    ts: str
    model: str
    quality: Quality
    value: float | None
    lo: float | None
    hi: float | None
    terms: tuple[tuple[str, float], ...]
    inputs: tuple[ExplainedInput, ...]
    contributors: tuple[Contributor, ...]
    contributors_sum: float | None
    options: int
    conventions: tuple[Convention, ...]
    missing: tuple[str, ...]
    stale: bool = False
    sign_doubt: str = ""

    def __str__(self) -> str:
        band = "" if self.lo is None or self.hi is None else f", 5-95 % {number(self.lo)} to {number(self.hi)}"
        state = f"{self.quality}, STALE" if self.stale else self.quality
        lines = [
            f"{self.metric}: {self.title} of {self.underlying} at {self.ts}, positions {self.model} ({state})",
            f"  {self.metric} = {self.formula} = {number(self.value)} {self.unit}{band}",
            *([f"  {self.sign}"] if self.sign else []),
            *([f"  {self.sign_doubt}"] if self.sign_doubt else []),
        ]
        if self.terms:
            lines.append("terms")
            lines += [f"  {name:<28} {number(value):>16}" for name, value in self.terms]
        lines += _input_lines(self.inputs)
        if self.contributors:
            lines += _contributor_lines(f"largest of {self.options:,} options", self.contributors)
            lines += self._rest()
        lines.append("other conventions (value, change)")
        lines += [f"  {row.name:<28} {number(row.value):>16} {number(row.change):>16}" for row in self.conventions]
        return "\n".join([*lines, *(f"  n/a: {text}" for text in self.missing)])

    def _rest(self) -> list[str]:
        """The parts that are not listed, and the sum of all."""
        if self.contributors_sum is None:
            return []
        remainder = self.contributors_sum - sum(row.value for row in self.contributors)
        rows = (f"the other {self.options - len(self.contributors):,}", remainder), ("sum", self.contributors_sum)
        return [f"  {name:<56} {number(value):>16}" for name, value in rows]


class TermConvention(msgspec.Struct, frozen=True):
    """The word under another convention, and whether it differs."""

    name: str
    value: str
    differs: bool


class TermExplanation(msgspec.Struct, frozen=True):
    """A word of the first line at one tick: its rule, what decided it, inputs, contributors and other conventions.

    `contributors` are the largest parts of `contributors_of` by option, which the word rests on. `sign_doubt` is as in
    `Explanation`.
    """

    term: str
    title: str
    formula: str
    underlying: str
    ts: str
    model: str
    value: str
    decided_by: tuple[str, ...]
    inputs: tuple[ExplainedInput, ...]
    contributors_of: str
    contributors: tuple[Contributor, ...]
    conventions: tuple[TermConvention, ...]
    missing: tuple[str, ...]
    stale: bool = False
    sign_doubt: str = ""

    def __str__(self) -> str:
        stale = ", STALE" if self.stale else ""
        lines = [
            f"{self.term}: {self.title} of {self.underlying} at {self.ts}, positions {self.model}{stale}",
            f"  {self.term} = {self.value}",
            f"  rule: {self.formula}",
            *(f"  because: {text}" for text in self.decided_by),
            *([f"  {self.sign_doubt}"] if self.sign_doubt else []),
            *_input_lines(self.inputs),
        ]
        if self.contributors:
            lines += _contributor_lines(f"largest options of {self.contributors_of}", self.contributors)
        lines.append("other conventions")
        lines += [f"  {row.name:<28} {row.value}{'' if row.differs else ' (the same)'}" for row in self.conventions]
        return "\n".join([*lines, *(f"  n/a: {text}" for text in self.missing)])


def _input_lines(inputs: tuple[ExplainedInput, ...]) -> list[str]:
    rows = (f"  {row.name:<28} {number(row.value, plus=False):>16} {row.unit:<10} {_age(row)}" for row in inputs)
    return ["inputs", *(row.rstrip() for row in rows)]


def _contributor_lines(title: str, contributors: tuple[Contributor, ...]) -> list[str]:
    return [
        f"{title} (position, value of +1 coin, part, share of the gross sum)",
        *(
            f"  {row.option:<28} {row.position:>+12,.1f} {number(row.unit_value):>14} {number(row.value):>16}"
            f" {row.share:>6.1%}"
            for row in contributors
        ),
    ]


def number(value: float | None, *, plus: bool = True) -> str:
    """A number as text, whole from a thousand on.

    >>> number(1234.5), number(-0.01234), number(2.0, plus=False), number(None)
    ('+1,234', '-0.01234', '2', 'n/a')
    """
    if value is None:
        return "n/a"
    text = f"{value:+,.0f}" if abs(value) >= 1_000.0 else f"{value:+,.4g}"
    return text if plus else text.removeprefix("+")


def _age(row: ExplainedInput) -> str:
    if row.limit_s is None:
        return ""
    return (
        f"no data, limit {row.limit_s:g} s" if row.age_s is None else f"age {row.age_s:.1f} s, limit {row.limit_s:g} s"
    )
