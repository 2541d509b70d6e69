"""The palettes by measure: contrast of every text, and distance of the channels under colour vision deficiency."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dfmon.tui.palette import Appearance, contrast, rgb, styles
from dfmon.tui.settings import PALETTES
from dfmon.tui.themes import HEAT_STEPS, SIDE_STEPS, THEMES

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB
_VISION = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
_TEXT_ROLES = ("text", "strong", "dim", "absent", "head", "label", "title", "axis", "pos", "neg", "buy", "sell", "flip",
               "ok", "warn", "bad", "caveat", "replay")  # fmt: skip


@pytest.mark.parametrize("palette", PALETTES)
def test_every_text_can_be_read(palette: str) -> None:
    theme = THEMES[palette]
    for name, (foreground, background, _) in theme.roles.items():
        if name in _TEXT_ROLES or background is not None:
            measured = contrast(foreground, theme.background if background is None else background)
            assert measured >= 4.5, (name, measured)


@pytest.mark.parametrize("true_colour", [True, False])
@pytest.mark.parametrize("palette", PALETTES)
def test_every_cell_of_the_heat_map_can_be_read(palette: str, true_colour: bool) -> None:
    found = styles(palette, true_colour=true_colour)
    for step in range(-HEAT_STEPS, HEAT_STEPS + 1):
        sides = (f"map{step:+d}", f"map{step:+d}.cursor") if abs(step) <= SIDE_STEPS else ()
        for name in (f"heat{step:+d}", f"heat{step:+d}.cursor", *sides):
            style = found[name]
            assert style.color is not None
            assert style.bgcolor is not None
            measured = contrast(style.color.get_truecolor().hex, style.bgcolor.get_truecolor(foreground=False).hex)
            assert measured >= 4.5, (name, measured)


@pytest.mark.parametrize("palette", ["dark", "light", "colour-blind", "green-red"])
@pytest.mark.parametrize("vision", _VISION)
def test_the_channels_differ_for_every_eye(palette: str, vision: str) -> None:
    roles = THEMES[palette].roles
    seen = {name: _lab(rgb(roles[name][0]), _VISION[vision]) for name in ("pos", "neg", "buy", "sell")}
    least, pair = min((float(np.linalg.norm(seen[a] - seen[b])), (a, b)) for a, b in combinations(seen, 2))
    assert least >= (18.0 if palette == "green-red" else 25.0), pair


@pytest.mark.parametrize("palette", PALETTES)
def test_text_on_the_field_of_the_chart_can_be_read(palette: str) -> None:
    for name, style in styles(palette).items():
        if "@" in name and name.partition("@")[0] in _TEXT_ROLES:
            assert style.color is not None
            assert style.bgcolor is not None
            measured = contrast(style.color.get_truecolor().hex, style.bgcolor.get_truecolor(foreground=False).hex)
            assert measured >= 4.5, (name, measured)


def test_mono_tells_the_channels_by_form() -> None:
    found = styles("mono")
    assert (found["pos"].bold, found["neg"].bold) == (None, True)
    assert (found["buy"].underline, found["sell"].underline) == (None, True)


def test_without_colour_the_channels_keep_their_form() -> None:
    appearance = Appearance("light", colour=False)
    assert appearance.style("sell").underline
    assert appearance.style("neg").bold
    assert appearance.style("scene.violent").reverse
    assert appearance.style("neg").color is None


def _lab(colour: tuple[int, int, int], vision: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of an sRGB colour as an eye with that vision sees it."""
    parts = np.array(colour) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(vision @ linear, 0.0, 1.0)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ seen / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
