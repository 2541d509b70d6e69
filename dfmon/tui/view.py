"""The user's choices: panel, metric, span, cursor, palette. Plain data, changed by actions, read by `render`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from dfmon.model.metrics import metrics_at
from dfmon.model.units import DAY, HOUR, MINUTE
from dfmon.tui.computation import Computed
from dfmon.tui.filters import Filter, ListName
from dfmon.tui.keymap import KeyChanges

SNAPSHOT_LAYERS: Final = (*metrics_at("heatmap"), "oi", "iv")
HEATMAP_LAYERS: Final = (*SNAPSHOT_LAYERS, "volume", "flow", "change")
LOOKBACKS: Final = (0, 1, 5, 15, 60)  # minutes to the slice that the heat-map is compared with, 0 for none
SPANS: Final = (("5m", 5 * MINUTE), ("1h", HOUR), ("4h", 4 * HOUR), ("1d", DAY), ("7d", 7 * DAY))
MODELS: Final = ("flow", "naive", "short-all")
MERGE_STEPS: Final = (1, 2, 4)
SORT_KEYS: Final = ("size", "band", "oi", "expiry")
PROFILE_HORIZONS: Final = ("", "today", "week", "after next expiry", "+48 h")
PROFILE_RANGES: Final = (0.05, 0.1, 0.2, 0.5)  # of spot, to either side
TABLES: Final = ("options", "expiries", "origins", "strikes")


@dataclass(slots=True)
class View:
    """The state of the view. `cursor_strike` None follows spot; `merge` is the number of strikes per row.

    `model` is the position model on screen, "" for the published one. `size` is the terminal's. `selected_option` and
    `expiry_filter` belong to the positions sheet, "" for the first row and for all expiries. `sheet_under_help` is the
    sheet that help or an explanation was opened over. `what_if` are the changed assumptions of the what-if by name, in
    its own words, `what_if_row` the selected row. `smile` opens the smile of the expiry at `expiry_row`, whose
    `smile_row` counts from the forward. `lookback` is the place in LOOKBACKS, `smoothed` spreads the cells of the
    heat-map over their neighbours. `book_file` is the file of the own book, "" for none, `book_row` its selected move.
    `explained` is the number or word that the sheet of explanations writes out. `profile_horizon` and `profile_range`
    are of the zoomed profile, whose `profile_column` counts from spot. `computed` are the last results of the sheets
    that compute, by name. `map_row` counts the rows of the forward map from spot. `prompt` is the sign of the open
    input line, "" for none, `prompt_error` the error in its text, `completions` what tab goes through, `history` the
    earlier texts of each sign and `history_row` the one shown, counted from the newest. `count` are the digits before a
    move, `search` the text that `/` looks for in lines, last seen in `found_line`, and `keys` the keys that are not the
    table's. `config_error` is the mistake in the last edit of the configuration.
    """

    underlying: str
    palette: str = "dark"
    icons: str = "braille"
    model: str = ""
    panel: str = "chart"
    zoom: bool = False
    sheet: str = ""
    sheet_under_help: str = ""
    metric: str = "ngi"
    span: int = 2
    cursor_strike: float | None = None
    cursor_column: int = 0
    merge: int = 1
    scroll: int = 0
    alerts_read_ns: int = 0
    alert_shown_ns: int = 0
    tape_min: float = 0.0
    size: tuple[int, int] = (80, 24)
    sort_key: str = "size"
    table: str = "options"
    selected_option: str = ""
    expiry_filter: str = ""
    filters: dict[ListName, Filter] = field(default_factory=lambda: {"tape": Filter(), "positions": Filter()})
    what_if: dict[str, str] = field(default_factory=dict)
    what_if_row: int = 0
    expiry_row: int = 0
    smile: bool = False
    smile_row: int = 0
    lookback: int = 0
    smoothed: bool = False
    book_file: str = ""
    book_row: int = 1
    explained: str = "ngi"
    profile_horizon: int = 3
    profile_range: int = 1
    profile_column: int = 0
    computed: dict[str, Computed] = field(default_factory=dict)
    map_row: int = 0
    map_column: int = 1
    count: str = ""
    search: str = ""
    found_line: int = 0
    keys: KeyChanges = ()
    prompt: str = ""
    prompt_text: str = ""
    completions: tuple[str, ...] = ()
    history: dict[str, list[str]] = field(default_factory=dict)
    history_row: int = 0
    prompt_error: str = ""
    config_error: str = ""
    notice: str = ""
    notice_until_ns: int = 0
    clock_speed: float = 1.0

    @property
    def span_name(self) -> str:
        return SPANS[self.span][0]

    @property
    def span_ns(self) -> int:
        return SPANS[self.span][1]

    def show_underlying(self, underlying: str) -> None:
        """Shows another coin, with the cursor at spot."""
        self.underlying = underlying
        self.cursor_strike, self.cursor_column, self.scroll = None, 0, 0

    def show_notice(self, text: str, now_ns: int, seconds: float = 4.0) -> None:
        """Shows one sentence on the state line for a few seconds of wall time."""
        self.notice, self.notice_until_ns = text, now_ns + int(seconds * self.clock_speed * 1e9)


def cycle(choices: tuple[str, ...], current: str, step: int = 1) -> str:
    """The choice `step` places after `current`, wrapping round; the first one where `current` is not among them."""
    return choices[(choices.index(current) + step) % len(choices)] if current in choices else choices[0]
