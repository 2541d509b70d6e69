"""Settings of the screen. Without Textual: configuration is read before the screen is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dfmon.tui.keymap import KeyChanges
from dfmon.tui.terminal import shows_unicode

PALETTES: Final = ("dark", "light", "colour-blind", "green-red", "mono")
ICONS: Final = ("braille", "unicode", "ascii")
_EARLIER_PALETTES: Final = {"blue-orange": "dark", "purple-green": "colour-blind"}


@dataclass(frozen=True)
class ScreenSettings:
    """Settings at start. `plain` is ASCII without colour, for screen readers and serial lines; `tape_min` in coins,
    `book_file` the own positions.

    `clock_speed` is that of the session's clock: seconds of market time per second of wall time.
    `published_model` is the position model that the stored history was made under; `alert_deliveries` say where the
    alerts of each rule are shown.
    """

    underlyings: tuple[str, ...]
    rate_hz: float = 1.0
    mouse: bool = True
    palette: str = "dark"
    icons: str = "braille"
    plain: bool = False
    low_bandwidth: bool = False
    tape_min: float = 0.0
    book_file: str = ""
    clock_speed: float = 1.0
    published_model: str = "flow"
    keys: KeyChanges = ()
    locator: str = ""  # opened at the start
    forced_icons: bool = False  # `icons` was named on the command line: drawn in any locale
    alert_deliveries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def frame_interval_s(self) -> float:
        """Seconds between frames: at most four a second, one in two seconds at low bandwidth."""
        min_interval_s = 2.0 if self.low_bandwidth else 0.25
        return max(1 / self.rate_hz if self.rate_hz > 0 else 1.0, min_interval_s)

    @property
    def chart_interval_s(self) -> float:
        """Seconds between redraws of the chart, the panel that changes most."""
        return 10.0 if self.low_bandwidth else 0.0

    @property
    def initial_palette(self) -> str:
        return "mono" if self.plain else _EARLIER_PALETTES.get(self.palette, self.palette)

    @property
    def initial_icons(self) -> str:
        return "ascii" if self.plain or not (self.forced_icons or shows_unicode()) else self.icons


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """An edit of the configuration: its settings, the keys in force at once and those of a restart, or its error."""

    settings: ScreenSettings | None = None
    in_force: tuple[str, ...] = ()
    after_restart: tuple[str, ...] = ()
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return self.error
        parts = [f"{', '.join(self.in_force)} in force"] if self.in_force else []
        parts += [f"{', '.join(self.after_restart)} after a restart"] if self.after_restart else []
        return "; ".join(parts) or "nothing changed"
