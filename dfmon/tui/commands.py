"""The command line, `:`. A command and its argument, or the name of any action; every mistake gets one sentence.

A command changes the view, or returns what the app has to do: a request to the market, or an action to run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dfmon.engine.hub import Request
from dfmon.engine.what_if_arguments import USAGE, split_arguments
from dfmon.model.errors import UsageError
from dfmon.model.locator import SCREENS, SHAPE, Locator, parse_locator
from dfmon.model.units import sanitize
from dfmon.store.positions_file import read_positions
from dfmon.tui.actions import Action, is_available
from dfmon.tui.cursor import place_cursor
from dfmon.tui.filters import parse_filter
from dfmon.tui.locators import show_screen
from dfmon.tui.render.explanation import EXPLAINABLE
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import current_grid
from dfmon.tui.render.models import known_models
from dfmon.tui.render.options import filtered_options
from dfmon.tui.seek_parser import TIME_EXAMPLES, parse_seek
from dfmon.tui.settings import ICONS, PALETTES
from dfmon.tui.sheets import ACTIONS, ACTIONS_BY_ID, filtered_list, open_explanation
from dfmon.tui.view import HEATMAP_LAYERS, SORT_KEYS, SPANS, View
from dfmon.tui.view_actions import show_model
from dfmon.tui.view_output import COPIES, ScreenOutput, copied_view, exported_view, named_path
from dfmon.tui.what_if_controls import set_arguments

CommandResult = Request | Action | Locator | ScreenOutput | None
_SPAN_NAMES: Final = tuple(name for name, _ in SPANS)
CommandHandler = Callable[[View, Frame, str], CommandResult]


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `usage` shows its argument; `available_in` is the mode it works in, "" for all.

    `choices` are the arguments that tab goes through; `optional` is one that may be left out.
    """

    name: str
    usage: str
    handler: CommandHandler
    available_in: str = ""
    choices: Callable[[Frame], Sequence[str]] = lambda frame: ()
    optional: bool = False


def resolve_choice(text: str, allowed: Sequence[str], kind: str) -> str:
    """The only one of `allowed` that starts with `text`. Raises UsageError with the list."""
    folded = text.casefold()
    matches = [a for a in allowed if a.casefold() == folded] or [
        a for a in allowed if folded and a.casefold().startswith(folded)
    ]
    if len(matches) != 1:
        raise UsageError(f'unknown {kind} "{sanitize(text, 20)}": {", ".join(allowed)}')
    return matches[0]


def _set_strike(view: View, frame: Frame, text: str) -> CommandResult:
    grid = current_grid(frame)
    if grid is None:
        raise UsageError("no options listed yet")
    strike = None if text.casefold() == "spot" else _parse_number(text, "strike", "98000, 98k or spot")
    view.cursor_strike = None if strike is None else min(grid.strikes, key=lambda candidate: abs(candidate - strike))
    view.sheet, view.panel = "", "heatmap"
    return None


def _set_cell(view: View, frame: Frame, text: str) -> CommandResult:
    strike, _, expiry = text.partition(" ")
    _set_strike(view, frame, strike)
    grid = current_grid(frame)
    if grid is not None:
        label = resolve_choice(expiry.strip().lstrip("0"), grid.expiries, "expiry")
        view.cursor_column = grid.expiries.index(label)
    return None


def _set_option(view: View, frame: Frame, text: str) -> CommandResult:
    names = [row.name for row in filtered_options(frame)]
    if text not in names:
        raise UsageError(f'no option "{sanitize(text, 40)}" in the list')
    view.selected_option, view.sheet = text, "positions"
    return None


def _set_cursor(view: View, frame: Frame, text: str) -> CommandResult:
    try:
        row, column = (int(part) for part in f"{text} 0".split()[:2])
    except ValueError:
        raise UsageError(f'invalid place "{sanitize(text, 20)}": a row, or a row and a column') from None
    place_cursor(row, column, view)
    return None


def _show_screen(view: View, frame: Frame, text: str) -> CommandResult:
    show_screen(resolve_choice(text, tuple(SCREENS), "screen"), view)
    return None


def _open_locator(view: View, frame: Frame, text: str) -> CommandResult:
    return parse_locator(text)


def _parse_number(text: str, kind: str, examples: str, minimum: float = 0.0) -> float:
    """A number of at least `minimum`, with k for thousands. Raises UsageError with the examples."""
    try:
        number = float(text.casefold().replace(",", "").removesuffix("k")) * (1e3 if text[-1:] in ("k", "K") else 1.0)
        if not minimum <= number < 1e12:
            raise ValueError
    except ValueError:
        raise UsageError(f'invalid {kind} "{sanitize(text, 20)}": {examples}') from None
    return number


def _set_expiry(view: View, frame: Frame, text: str) -> CommandResult:
    """Filters the positions sheet by an expiry, or moves the cursor of the heat-map to it."""
    if len(allowed := _expiries(frame)) < 2:
        raise UsageError("no expiries listed yet")
    label = resolve_choice(text.lstrip("0"), allowed, "expiry")
    if view.sheet == "vol" and label != "all":
        view.expiry_row, view.smile_row = allowed.index(label), 0
        return None
    view.expiry_filter, view.selected_option = "" if label == "all" else label, ""
    if view.sheet != "positions":
        grid = current_grid(frame)
        view.sheet, view.panel = "", "heatmap"
        view.cursor_column = grid.expiries.index(label) if grid is not None and label in grid.expiries else 0
    return None


def _expiries(frame: Frame) -> Sequence[str]:
    return (*(row.label for row in frame.snapshot.by_expiry), "all") if frame.snapshot else ()


def _coins(frame: Frame) -> Sequence[str]:
    shown = (frame.latest_snapshot,) if frame.latest_snapshot is not None else ()
    return tuple(sorted({snapshot.underlying for snapshot in (*shown, *frame.others)}))


def _show_coin(view: View, frame: Frame, text: str) -> CommandResult:
    view.show_underlying(resolve_choice(text, _coins(frame), "coin"))
    return None


def _set_model(view: View, frame: Frame, text: str) -> CommandResult:
    show_model(view, frame, resolve_choice(text, known_models(frame.snapshot), "position model"))
    return None


def _models(frame: Frame) -> Sequence[str]:
    return known_models(frame.snapshot)


def _request_published_model(view: View, frame: Frame, text: str) -> CommandResult:
    view.model = ""
    return Request("positions", resolve_choice(text, known_models(frame.snapshot), "position model"))


def _set_metric(view: View, frame: Frame, text: str) -> CommandResult:
    view.metric, view.sheet, view.panel = resolve_choice(text, HEATMAP_LAYERS, "metric"), "", "heatmap"
    return None


def _set_span(view: View, frame: Frame, text: str) -> CommandResult:
    view.span = _SPAN_NAMES.index(resolve_choice(text, _SPAN_NAMES, "time span"))
    return None


def _set_palette(view: View, frame: Frame, text: str) -> CommandResult:
    view.palette = resolve_choice(text, PALETTES, "palette")
    return None


def _set_icons(view: View, frame: Frame, text: str) -> CommandResult:
    view.icons = resolve_choice(text, ICONS, "glyph set")
    return None


def _set_sort_key(view: View, frame: Frame, text: str) -> CommandResult:
    view.sort_key, view.selected_option = resolve_choice(text, SORT_KEYS, "sort order"), ""
    view.sheet = "positions"
    return None


def _set_tape_min(view: View, frame: Frame, text: str) -> CommandResult:
    size = _parse_number(text, "print size", "coins, 0 for all prints")
    view.tape_min, view.scroll = size, 0
    return None


def apply_filter(view: View, frame: Frame, text: str) -> CommandResult:
    """Filters the list on screen; no text clears the filter."""
    list_name = filtered_list(view)
    view.filters[list_name] = parse_filter(text, list_name)
    view.selected_option, view.scroll = "", 0
    return None


def _show_what_if(view: View, frame: Frame, text: str) -> CommandResult:
    set_arguments(view, frame, split_arguments(text))
    view.sheet, view.scroll = "what-if", 0
    return None


def _show_explanation(view: View, frame: Frame, text: str) -> CommandResult:
    open_explanation(resolve_choice(text, EXPLAINABLE, "number or word"), view)
    return None


def _show_book(view: View, frame: Frame, text: str) -> CommandResult:
    """Opens the own book; with a file that of this file."""
    if text:
        path = named_path(text)
        read_positions(path)
        view.book_file = str(path)
    view.sheet, view.scroll = "book", 0
    return None


def _export(view: View, frame: Frame, text: str) -> CommandResult:
    return exported_view(frame, text)


def _copy(view: View, frame: Frame, text: str) -> CommandResult:
    return copied_view(frame, resolve_choice(text, COPIES, "kind of copy"))


def _request_seek(view: View, frame: Frame, text: str) -> CommandResult:
    return Request("replay.seek", parse_seek(text, frame.clock_ns))


def _request_speed(view: View, frame: Frame, text: str) -> CommandResult:
    if text.casefold() == "max":
        return Request("replay.speed", "max")
    speed = _parse_number(text.casefold().removeprefix("x"), "speed", "0.5, 8, 64 or max", minimum=0.01)
    return Request("replay.speed", f"{speed:g}")


COMMANDS: Final[tuple[Command, ...]] = (
    Command("strike", "98000 | 98k | spot", _set_strike),
    Command("exp", "28NOV | all", _set_expiry, choices=_expiries),
    Command("coin", "BTC | ETH ...", _show_coin, choices=_coins),
    Command("model", "flow | naive | short-all | file", _set_model, choices=_models),
    Command("publish", "flow | naive | short-all | file", _request_published_model, choices=_models),
    Command("metric", " | ".join(HEATMAP_LAYERS), _set_metric, choices=lambda frame: HEATMAP_LAYERS),
    Command("span", " | ".join(_SPAN_NAMES), _set_span, choices=lambda frame: _SPAN_NAMES),
    Command("order", " | ".join(SORT_KEYS), _set_sort_key, choices=lambda frame: SORT_KEYS),
    Command("filter", "put  strike>98k  net<-50", apply_filter, optional=True),
    Command("size", "smallest print shown, in coins", _set_tape_min),
    Command("what-if", USAGE, _show_what_if),
    Command("book", "FILE of your positions; without one: open the sheet", _show_book, optional=True),
    Command("export", "FILE.csv | .json | .parquet | .txt | .svg", _export),
    Command("copy", " | ".join(COPIES), _copy, choices=lambda frame: COPIES),
    Command("explain", "ngi | flip | regime | scenario ...", _show_explanation, choices=lambda frame: EXPLAINABLE),
    Command("palette", " | ".join(PALETTES), _set_palette, choices=lambda frame: PALETTES),
    Command("icons", " | ".join(ICONS), _set_icons, choices=lambda frame: ICONS),
    Command("cell", "98000 28NOV26", _set_cell),
    Command("show", " | ".join(SCREENS), _show_screen, choices=lambda frame: tuple(SCREENS)),
    Command("open", SHAPE, _open_locator),
    Command("option", "BTC-28NOV26-98000-C", _set_option),
    Command("cursor", "row [column] of the sheet, both from the middle", _set_cursor),
    Command("goto", TIME_EXAMPLES, _request_seek, "replay"),
    Command("speed", "0.5 | 8 | max", _request_speed, "replay", lambda frame: ("0.5", "1", "8", "64", "max")),
)


def run_command(view: View, frame: Frame, text: str) -> CommandResult:
    """Runs a command. Raises UsageError, having changed nothing, where it is not understood."""
    name, _, argument = text.strip().partition(" ")
    if not name:
        return None
    commands, actions = _available_commands(frame.mode, view.sheet)
    if (by_id := ACTIONS_BY_ID.get(name)) is not None and by_id in actions.values():
        return by_id
    matches = _match_names(name, [c.name for c in commands]) or _match_names(name, list(actions))
    if len(matches) != 1:
        typed = sanitize(name, 20)
        if matches:
            raise UsageError(f'ambiguous command "{typed}": {", ".join(matches[:6])}')
        raise UsageError(f'unknown command "{typed}"; ? lists the actions')
    if matches[0] in actions:
        return actions[matches[0]]
    command = next(c for c in commands if c.name == matches[0])
    if not argument.strip() and not command.optional:
        raise UsageError(f"usage: {command.name} {command.usage}")
    return command.handler(view, frame, argument.strip())


def command_hint(frame: Frame, text: str) -> str:
    """The continuations of the text typed so far."""
    name, space, _ = text.lstrip().partition(" ")
    commands, actions = _available_commands(frame.mode, frame.view.sheet)
    matches = _match_names(name, [c.name for c in commands]) if name else [c.name for c in commands]
    if len(matches) == 1 and (space or matches[0] == name):
        return next(c.usage for c in commands if c.name == matches[0])
    return "  ".join([*matches, *(_match_names(name, list(actions)) if name else ["… or any action"])][:12])


def completions(frame: Frame, text: str) -> list[str]:
    """The texts that begin with `text`: of commands and actions, then of a command's arguments."""
    name, space, argument = text.lstrip().partition(" ")
    commands, actions = _available_commands(frame.mode, frame.view.sheet)
    if not space:
        names = [f"{command.name} " for command in commands] + list(actions)
        return [candidate for candidate in names if candidate.startswith(name.casefold())]
    matches = _match_names(name, [command.name for command in commands])
    if len(matches) != 1:
        return []
    command = next(command for command in commands if command.name == matches[0])
    folded = argument.strip().casefold()
    return [f"{command.name} {choice}" for choice in command.choices(frame) if choice.casefold().startswith(folded)]


def _match_names(prefix: str, names: list[str]) -> list[str]:
    """The exact match, else all names with this prefix."""
    folded = prefix.casefold()
    return [folded] if folded in names else [name for name in names if name.startswith(folded)]


def _available_commands(mode: str, sheet: str) -> tuple[list[Command], dict[str, Action]]:
    """The commands and actions that work now; an action is called by its footer label or its id."""
    commands = [c for c in COMMANDS if c.available_in in ("", mode)]
    command_names = {c.name for c in commands}
    actions: dict[str, Action] = {}
    for action in ACTIONS:
        if is_available(action, mode, sheet) and action.id != "app.command":
            name = (
                action.footer_label
                if action.footer_label and action.footer_label not in {*command_names, *actions}
                else action.id
            )
            actions[name] = action
    return commands, actions
