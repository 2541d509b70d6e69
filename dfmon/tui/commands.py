"""The command line, `:`. A word and what it is about, or the name of any action; every mistake gets one sentence.

A command changes the view, or says what is wanted from outside: a request to the market, or an action to run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dfmon.engine.hub import Request
from dfmon.model.errors import UsageError
from dfmon.model.units import clean
from dfmon.tui.actions import ACTIONS, BY_ID, Action, works
from dfmon.tui.filters import parse
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import current
from dfmon.tui.render.models import known_models
from dfmon.tui.seek_parser import ALLOWED, seek
from dfmon.tui.settings import ICONS, PALETTES
from dfmon.tui.view import METRICS, ORDERS, SPANS, View

Wanted = Request | Action | None
Run = Callable[[View, Frame, str], Wanted]


@dataclass(frozen=True, slots=True)
class Command:
    """`takes` is what may follow the word; `where`: "" everywhere, else the mode it works in."""

    word: str
    takes: str
    run: Run
    where: str = ""


def choice(text: str, allowed: Sequence[str], what: str) -> str:
    """The one of `allowed` that `text` begins. Raises UsageError naming all."""
    low = text.casefold()
    found = [a for a in allowed if a.casefold() == low] or [a for a in allowed if low and a.casefold().startswith(low)]
    if len(found) != 1:
        raise UsageError(f'"{clean(text, 20)}" is no {what}: {", ".join(allowed)}')
    return found[0]


def _strike(view: View, frame: Frame, text: str) -> Wanted:
    grid = current(frame)
    if grid is None:
        raise UsageError("no options are listed yet")
    strike = None if text.casefold() == "spot" else _number(text, "strike: 98000, 98k or spot")
    view.strike = None if strike is None else min(grid.strikes, key=lambda listed: abs(listed - strike))
    view.sheet, view.panel = "", "heatmap"
    return None


def _number(text: str, what: str, least: float = 0.0) -> float:
    """A number from `least` on, with k for thousands. Raises UsageError: no `what`."""
    try:
        number = float(text.casefold().replace(",", "").removesuffix("k")) * (1e3 if text[-1:] in ("k", "K") else 1.0)
        if not least <= number < 1e12:
            raise ValueError
    except ValueError:
        raise UsageError(f'"{clean(text, 20)}" is no {what}') from None
    return number


def _expiry(view: View, frame: Frame, text: str) -> Wanted:
    """On the positions sheet that expiry alone; else its column of the heat-map."""
    listed = tuple(row.label for row in frame.snapshot.by_expiry) if frame.snapshot else ()
    if not listed:
        raise UsageError("no expiry is listed yet")
    allowed = (*listed, "all")
    label = choice(text.lstrip("0"), allowed, "expiry")
    view.only, view.option = "" if label == "all" else label, ""
    if view.sheet != "positions":
        grid = current(frame)
        view.sheet, view.panel = "", "heatmap"
        view.expiry = grid.expiries.index(label) if grid is not None and label in grid.expiries else 0
    return None


def _model(view: View, frame: Frame, text: str) -> Wanted:
    return Request("positions", choice(text, known_models(frame.snapshot), "position model"))


def _metric(view: View, frame: Frame, text: str) -> Wanted:
    view.metric, view.sheet, view.panel = choice(text, METRICS, "metric"), "", "heatmap"
    return None


def _span(view: View, frame: Frame, text: str) -> Wanted:
    names = [name for name, _ in SPANS]
    view.span = names.index(choice(text, names, "time span"))
    return None


def _palette(view: View, frame: Frame, text: str) -> Wanted:
    view.palette = choice(text, PALETTES, "palette")
    return None


def _icons(view: View, frame: Frame, text: str) -> Wanted:
    view.icons = choice(text, ICONS, "set of glyphs")
    return None


def _order(view: View, frame: Frame, text: str) -> Wanted:
    view.order, view.option = choice(text, ORDERS, "order of the options"), ""
    view.sheet = "positions"
    return None


def _size(view: View, frame: Frame, text: str) -> Wanted:
    size = _number(text, "size of a print: a number of coins, 0 for all")
    view.tape_min, view.scroll = size, 0
    return None


def filter_list(view: View, frame: Frame, text: str) -> Wanted:
    """Only the rows of the list in sight that pass; no text, all of them."""
    view.filters[view.filtered] = parse(text, view.filtered)
    view.option, view.scroll = "", 0
    return None


def _goto(view: View, frame: Frame, text: str) -> Wanted:
    return Request("replay.seek", seek(text, frame.clock_ns))


def _speed(view: View, frame: Frame, text: str) -> Wanted:
    if text.casefold() == "max":
        return Request("replay.speed", "max")
    speed = _number(text.casefold().removeprefix("x"), "speed: 0.5, 8, 64 or max", least=0.01)
    return Request("replay.speed", f"{speed:g}")


COMMANDS: Final[tuple[Command, ...]] = (
    Command("strike", "98000 | 98k | spot", _strike),
    Command("exp", "28NOV | all", _expiry),
    Command("model", "flow | naive | short-all | file", _model),
    Command("metric", " | ".join(METRICS), _metric),
    Command("span", " | ".join(name for name, _ in SPANS), _span),
    Command("order", " | ".join(ORDERS), _order),
    Command("filter", "put  strike>98k  net<-50", filter_list),
    Command("size", "coins a print has at least", _size),
    Command("palette", " | ".join(PALETTES), _palette),
    Command("icons", " | ".join(ICONS), _icons),
    Command("goto", ALLOWED, _goto, "replay"),
    Command("speed", "0.5 | 8 | max", _speed, "replay"),
)


def run(view: View, frame: Frame, text: str) -> Wanted:
    """Do what was typed. Raises UsageError in one sentence; then nothing has changed."""
    word, _, rest = text.strip().partition(" ")
    if not word:
        return None
    commands, actions = _known(frame.mode, view.sheet)
    if (by_id := BY_ID.get(word)) is not None and by_id in actions.values():
        return by_id
    found = _named(word, [c.word for c in commands]) or _named(word, list(actions))
    if len(found) != 1:
        what = f'"{clean(word, 20)}" could be {", ".join(found[:6])}' if found else f'"{clean(word, 20)}" is no command'
        raise UsageError(f"{what}; : and tab, or ?, show them")
    if found[0] in actions:
        return actions[found[0]]
    command = next(c for c in commands if c.word == found[0])
    if not rest.strip() and command.word != "filter":
        raise UsageError(f"{command.word} wants {command.takes}")
    return command.run(view, frame, rest.strip())


def hint(frame: Frame, text: str) -> str:
    """What can follow what has been typed so far."""
    word, space, _ = text.lstrip().partition(" ")
    commands, actions = _known(frame.mode, frame.view.sheet)
    found = _named(word, [c.word for c in commands]) if word else [c.word for c in commands]
    if len(found) == 1 and (space or found[0] == word):
        return next(c.takes for c in commands if c.word == found[0])
    return "  ".join([*found, *(_named(word, list(actions)) if word else ["…and every action"])][:12])


def completed(frame: Frame, text: str) -> str:
    """The word finished as far as it is the only one."""
    word, space, _ = text.lstrip().partition(" ")
    commands, actions = _known(frame.mode, frame.view.sheet)
    found = _named(word, [c.word for c in commands]) or _named(word, list(actions))
    return f"{found[0]} " if word and not space and len(found) == 1 else text


def _named(word: str, names: list[str]) -> list[str]:
    """The name itself, else all that begin so."""
    low = word.casefold()
    return [low] if low in names else [name for name in names if name.startswith(low)]


def _known(mode: str, sheet: str) -> tuple[list[Command], dict[str, Action]]:
    """What means something now; an action is called by its word in the footer or by its id."""
    commands = [c for c in COMMANDS if c.where in ("", mode)]
    taken = {c.word for c in commands}
    actions: dict[str, Action] = {}
    for action in ACTIONS:
        if works(action, mode, sheet) and action.id != "app.command":
            name = action.footer if action.footer and action.footer not in {*taken, *actions} else action.id
            actions[name] = action
    return commands, actions
