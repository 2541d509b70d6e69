"""The snapshot as text: what a level that is missing says in its place."""

from __future__ import annotations

from msgspec.structs import replace

from dfmon.sinks.plain_text import WIDTH, format_snapshot
from tests.sinks.factory import FLIP, snapshot


def flip_line(**changed: object) -> str:
    changed_snapshot = replace(snapshot(), flip=replace(FLIP, **changed))
    return next(line for line in format_snapshot(changed_snapshot, "live").splitlines() if line.startswith("G-Flip"))


def test_a_flip_has_its_band_and_the_distance_of_spot() -> None:
    assert flip_line() == "G-Flip 90,500.0   band 90,000.0 .. 91,000.0   none 0%   spot is 0.80% (0.3 sd) from it"


def test_a_book_without_a_flip_says_where_was_looked_and_no_distance() -> None:
    missing_fields = dict.fromkeys(("level", "lo", "hi", "distance_usd", "distance_pct", "distance_sigma"))
    assert (
        flip_line(**missing_fields, p_none=1.0, roots=())
        == "G-Flip none from 70,000.0 to 110,000.0   band n/a .. n/a   none 100%"
    )


def test_nothing_known_is_not_taken_for_none() -> None:
    assert flip_line(level=None, searched=None).startswith("G-Flip n/a ")


def test_inputs_of_the_rules_are_written_where_they_are_known() -> None:
    features = snapshot().features

    def lines_with(gamma: float | None, z: float | None, psi: float | None) -> list[str]:
        shares = {"phi_gamma": gamma, "phi_vanna": None, "phi_charm": None, "liquidations": None}
        changed = {name: replace(getattr(features, name), value=value, mid=0.03) for name, value in shares.items()}
        changed |= {"z": replace(features.z, value=z), "psi": replace(features.psi, value=psi)}
        return format_snapshot(replace(snapshot(), features=replace(features, **changed)), "live").splitlines()

    line = "share of volume and threshold: gamma 1.2% of 3.0%; z -1.25; psi up to -0.02 in 90% of members"
    assert line in lines_with(0.012, -1.25, -0.02)
    assert "z -1.25" in lines_with(None, -1.25, None)
    assert not any("threshold" in line or line.startswith("z ") for line in lines_with(None, None, None))


def test_the_doubt_about_the_sign_is_never_cut_and_stands_once_at_the_metrics() -> None:
    positions = replace(snapshot().positions, model="flow", coverage=1.0, decided=None, opening_slope=None)
    shown = replace(snapshot(), positions=positions, state="stale", numeraire="coin", stickiness="moneyness")
    text = format_snapshot(shown, "replay")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "cover 100%, sign not measured" in " ".join(text.split())
    lines = text.splitlines()
    sentence = "sign not measured: too few prints with open interest"
    assert lines.count(sentence) == 1
    assert "how to read it" in lines[lines.index(sentence) + 1]
    decided = replace(positions, decided=True, opening_slope=0.5, opening_slope_error=0.02)
    assert "sign " not in format_snapshot(replace(shown, positions=decided), "replay")
