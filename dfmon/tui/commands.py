"""The command line, `:`. A word and what it is about, or the name of any action; every mistake gets one sentence.

A command changes the view, or says what is wanted from outside: a request to the market, or an action to run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dfmon.engine.hub import Request
from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.tui.actions import Action, is_available
from dfmon.tui.filters import parse_filter
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import current_grid
from dfmon.tui.render.models import known_models
from dfmon.tui.seek_parser import TIME_EXAMPLES, parse_seek
from dfmon.tui.settings import ICONS, PALETTES
from dfmon.tui.sheets import ACTIONS, ACTIONS_BY_ID, filtered_list
from dfmon.tui.view import METRICS, SORT_KEYS, SPANS, View

CommandResult = Request | Action | None
CommandHandler = Callable[[View, Frame, str], CommandResult]


@dataclass(frozen=True, slots=True)
class Command:
    """`usage` is what may follow the word; `available_in`: "" everywhere, else the mode it works in."""

    name: str
    usage: str
    handler: CommandHandler
    available_in: str = ""


def resolve_choice(text: str, allowed: Sequence[str], kind: str) -> str:
    """The one of `allowed` that `text` begins. Raises UsageError naming all."""
    folded = text.casefold()
    matches = [a for a in allowed if a.casefold() == folded] or [
        a for a in allowed if folded and a.casefold().startswith(folded)
    ]
    if len(matches) != 1:
        raise UsageError(f'"{sanitize(text, 20)}" is no {kind}: {", ".join(allowed)}')
    return matches[0]


def _set_strike(view: View, frame: Frame, text: str) -> CommandResult:
    grid = current_grid(frame)
    if grid is None:
        raise UsageError("no options are listed yet")
    strike = None if text.casefold() == "spot" else _parse_number(text, "strike: 98000, 98k or spot")
    view.cursor_strike = None if strike is None else min(grid.strikes, key=lambda candidate: abs(candidate - strike))
    view.sheet, view.panel = "", "heatmap"
    return None


def _parse_number(text: str, kind: str, minimum: float = 0.0) -> float:
    """A number from `minimum` on, with k for thousands. Raises UsageError: no `kind`."""
    try:
        number = float(text.casefold().replace(",", "").removesuffix("k")) * (1e3 if text[-1:] in ("k", "K") else 1.0)
        if not minimum <= number < 1e12:
            raise ValueError
    except ValueError:
        raise UsageError(f'"{sanitize(text, 20)}" is no {kind}') from None
    return number


def _set_expiry(view: View, frame: Frame, text: str) -> CommandResult:
    """On the positions sheet that expiry alone; else its column of the heat-map."""
    listed_expiries = tuple(row.label for row in frame.snapshot.by_expiry) if frame.snapshot else ()
    if not listed_expiries:
        raise UsageError("no expiry is listed yet")
    allowed = (*listed_expiries, "all")
    label = resolve_choice(text.lstrip("0"), allowed, "expiry")
    view.expiry_filter, view.selected_option = "" if label == "all" else label, ""
    if view.sheet != "positions":
        grid = current_grid(frame)
        view.sheet, view.panel = "", "heatmap"
        view.cursor_column = grid.expiries.index(label) if grid is not None and label in grid.expiries else 0
    return None


def _request_model(view: View, frame: Frame, text: str) -> CommandResult:
    return Request("positions", resolve_choice(text, known_models(frame.snapshot), "position model"))


def _set_metric(view: View, frame: Frame, text: str) -> CommandResult:
    view.metric, view.sheet, view.panel = resolve_choice(text, METRICS, "metric"), "", "heatmap"
    return None


def _set_span(view: View, frame: Frame, text: str) -> CommandResult:
    names = [name for name, _ in SPANS]
    view.span = names.index(resolve_choice(text, names, "time span"))
    return None


def _set_palette(view: View, frame: Frame, text: str) -> CommandResult:
    view.palette = resolve_choice(text, PALETTES, "palette")
    return None


def _set_icons(view: View, frame: Frame, text: str) -> CommandResult:
    view.icons = resolve_choice(text, ICONS, "set of glyphs")
    return None


def _set_sort_key(view: View, frame: Frame, text: str) -> CommandResult:
    view.sort_key, view.selected_option = resolve_choice(text, SORT_KEYS, "order of the options"), ""
    view.sheet = "positions"
    return None


def _set_tape_min(view: View, frame: Frame, text: str) -> CommandResult:
    size = _parse_number(text, "size of a print: a number of coins, 0 for all")
    view.tape_min, view.scroll = size, 0
    return None


def apply_filter(view: View, frame: Frame, text: str) -> CommandResult:
    """Only the rows of the list in sight that pass; no text, all of them."""
    list_name = filtered_list(view)
    view.filters[list_name] = parse_filter(text, list_name)
    view.selected_option, view.scroll = "", 0
    return None


def _request_seek(view: View, frame: Frame, text: str) -> CommandResult:
    return Request("replay.seek", parse_seek(text, frame.clock_ns))


def _request_speed(view: View, frame: Frame, text: str) -> CommandResult:
    if text.casefold() == "max":
        return Request("replay.speed", "max")
    speed = _parse_number(text.casefold().removeprefix("x"), "speed: 0.5, 8, 64 or max", minimum=0.01)
    return Request("replay.speed", f"{speed:g}")


COMMANDS: Final[tuple[Command, ...]] = (
    Command("strike", "98000 | 98k | spot", _set_strike),
    Command("exp", "28NOV | all", _set_expiry),
    Command("model", "flow | naive | short-all | file", _request_model),
    Command("metric", " | ".join(METRICS), _set_metric),
    Command("span", " | ".join(name for name, _ in SPANS), _set_span),
    Command("order", " | ".join(SORT_KEYS), _set_sort_key),
    Command("filter", "put  strike>98k  net<-50", apply_filter),
    Command("size", "coins a print has at least", _set_tape_min),
    Command("palette", " | ".join(PALETTES), _set_palette),
    Command("icons", " | ".join(ICONS), _set_icons),
    Command("goto", TIME_EXAMPLES, _request_seek, "replay"),
    Command("speed", "0.5 | 8 | max", _request_speed, "replay"),
)


def run_command(view: View, frame: Frame, text: str) -> CommandResult:
    """Do what was typed. Raises UsageError in one sentence; then nothing has changed."""
    name, _, argument = text.strip().partition(" ")
    if not name:
        return None
    commands, actions = _available_commands(frame.mode, view.sheet)
    if (by_id := ACTIONS_BY_ID.get(name)) is not None and by_id in actions.values():
        return by_id
    matches = _match_names(name, [c.name for c in commands]) or _match_names(name, list(actions))
    if len(matches) != 1:
        problem = (
            f'"{sanitize(name, 20)}" could be {", ".join(matches[:6])}'
            if matches
            else f'"{sanitize(name, 20)}" is no command'
        )
        raise UsageError(f"{problem}; : and tab, or ?, show them")
    if matches[0] in actions:
        return actions[matches[0]]
    command = next(c for c in commands if c.name == matches[0])
    if not argument.strip() and command.name != "filter":
        raise UsageError(f"{command.name} wants {command.usage}")
    return command.handler(view, frame, argument.strip())


def command_hint(frame: Frame, text: str) -> str:
    """What can follow what has been typed so far."""
    name, space, _ = text.lstrip().partition(" ")
    commands, actions = _available_commands(frame.mode, frame.view.sheet)
    matches = _match_names(name, [c.name for c in commands]) if name else [c.name for c in commands]
    if len(matches) == 1 and (space or matches[0] == name):
        return next(c.usage for c in commands if c.name == matches[0])
    return "  ".join([*matches, *(_match_names(name, list(actions)) if name else ["…and every action"])][:12])


def complete_command(frame: Frame, text: str) -> str:
    """The word finished as far as it is the only one."""
    name, space, _ = text.lstrip().partition(" ")
    commands, actions = _available_commands(frame.mode, frame.view.sheet)
    matches = _match_names(name, [c.name for c in commands]) or _match_names(name, list(actions))
    return f"{matches[0]} " if name and not space and len(matches) == 1 else text


def _match_names(prefix: str, names: list[str]) -> list[str]:
    """The name itself, else all that begin so."""
    folded = prefix.casefold()
    return [folded] if folded in names else [name for name in names if name.startswith(folded)]


def _available_commands(mode: str, sheet: str) -> tuple[list[Command], dict[str, Action]]:
    """What means something now; an action is called by its word in the footer or by its id."""
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
