"""Basis of the dealer positions of a snapshot: their model, how well history covers them, and the faults found."""

from __future__ import annotations

import msgspec


class Positions(msgspec.Struct, frozen=True):
    """Source of the dealer positions. `coverage`: share of open interest whose history was seen.

    `churn` is the change of open interest over the volume that made it, in [-1, 1]; `residual` the share of open
    interest that moved without a print we saw, over options in which it has changed; both since we watch. `venue_share`
    is the assumed share of all open interest that this venue holds: below 1 it widens every band. `requests_checked`
    are block requests whose legs were compared with the prints since we watch, `requests_differing` those of them that
    did not agree.
    `opening_slope`: by how much more often an account opens that adds to the dealers' net position; `signal`: how much
    options differ in who opens, beyond chance. `decided` is false where the slope is not clearly above 0.2.
    `residual_of_change` is the share of all changes of open interest that no print explains (0.002 to 0.006 on recorded
    boards of the venue), `faults` counts input that contradicts itself, by kind.
    """

    model: str
    coverage: float | None
    warming: bool
    gross_coins: float = 0.0
    churn: float | None = None
    residual: float | None = None
    venue_share: float | None = None
    requests_checked: int = 0
    requests_differing: int = 0
    signal: float | None = None
    signal_error: float | None = None
    opening_slope: float | None = None
    opening_slope_error: float | None = None
    decided: bool | None = None
    residual_of_change: float | None = None
    faults: dict[str, int] = {}

    @property
    def sign_caveat(self) -> str:
        """Doubt about the sign of estimated positions; empty where the board shows it, and for conventions."""
        if self.decided or self.model != "flow":
            return ""
        return "sign not measured" if self.decided is None else "sign undecided"

    @property
    def sign_sentence(self) -> str:
        """Evidence of opening and closing for the sign on this board: B and the signal, each with its error."""
        if self.opening_slope is None or self.opening_slope_error is None:
            is_flow = self.model == "flow"
            return "sign not measured: too few prints with open interest" if is_flow else "a convention has no error"
        numbers = f"B {self.opening_slope:.2f} +-{self.opening_slope_error:.2f}"
        if self.signal is not None and self.signal_error is not None:
            numbers += f", sig {self.signal:.2f} +-{self.signal_error:.2f}"
        return f"{numbers}: {'sign decided' if self.decided else 'SIGN UNDECIDED, B not clearly above 0.2'}"

    @property
    def sign_doubt(self) -> str:
        """`sign_sentence` where there is a `sign_caveat`, else empty."""
        return self.sign_sentence if self.sign_caveat else ""
