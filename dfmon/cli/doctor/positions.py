"""Evidence of the stored positions of this host that open interest shows who opens and who closes."""

from __future__ import annotations

from dfmon.cli.doctor.findings import Finding, note, ok
from dfmon.config import Config, flow_params
from dfmon.core.positions.dealer_net import DECIDED_SLOPE, sign_decided
from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.snapshot.position_rows import signal_error
from dfmon.engine.checkpoint import decode_checkpoint, encode_checkpoint
from dfmon.model.units import sanitize
from dfmon.runtime.stores import open_positions_state


def check_signs(config: Config) -> list[Finding]:
    """The opening slope B and the signal of each underlying, with their errors, as the last run stored them."""
    file = open_positions_state(config, flow_params(config), persist=False)
    if file is None:
        return [note("sign", "history is switched off: nothing is learned from run to run")]
    checkpoint = file.load()
    if checkpoint is None:
        return [note("sign", file.error or "no positions stored yet: let dfmon run for some days")]
    states = decode_checkpoint(encode_checkpoint(checkpoint)).states
    return [sign_finding(name, state.book.state.rates) for name, state in states.items()]


def sign_finding(underlying: str, rates: OpeningRates) -> Finding:
    """A note where B is not above its limit by two of its standard errors."""
    about, decided = f"sign {sanitize(underlying)}", sign_decided(rates)
    if decided is None or rates.slope_error is None:
        return note(about, "not measured yet: fewer than two hundred prints with open interest around them")
    text = f"B {rates.slope:.3f} +- {rates.slope_error:.3f}, signal {rates.signal_sd:.3f}"
    if (error := signal_error(rates)) is not None:
        text += f" +- {error:.3f}"
    if decided:
        return ok(
            about, f"{text}: open interest tells who opens and who closes; the sign rests on assumed class shares"
        )
    return note(about, f"{text}: sign undecided, B is not clearly above {DECIDED_SLOPE:g}")
