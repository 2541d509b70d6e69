"""Actions that reach outside the view and the market, by action id: the process, the clipboard, files.

Actions that change only the view are in `view_actions`, those that send a request in `request_actions`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize, utc
from dfmon.tui.job_control import stop_wrappers
from dfmon.tui.locators import locator_of
from dfmon.tui.render.clipboard import clipboard_text
from dfmon.tui.view import cycle
from dfmon.tui.view_output import ScreenOutput, write_new_file

if TYPE_CHECKING:
    from dfmon.tui.app import DfmonApp

MAX_COPIED: Final = 2_000  # characters


def leave(code: int, app: DfmonApp) -> None:
    app.exit(return_code=code)


def suspend(app: DfmonApp) -> None:
    """Stops the process and gives the terminal back to the shell, until it is continued."""
    if stop_wrappers():
        app.action_suspend_process()
    else:
        app.view.show_notice("no shell to suspend to", app.clock())


def next_currency(app: DfmonApp) -> None:
    names = tuple(dict.fromkeys((*app.settings.underlyings, *app.hub.underlyings())))
    app.view.show_underlying(cycle(names, app.view.underlying))
    if len(names) < 2:
        app.view.show_notice(f"{app.view.underlying} is the only currency", app.clock())


def save_screen(app: DfmonApp) -> None:
    """Saves the screen as SVG and text in the current directory; the own book is not saved in passing."""
    if app.view.sheet == "book":
        app.view.show_notice("the own book is not saved", app.clock())
        return
    path = Path.cwd() / f"dfmon-{utc(app.clock()):%Y%m%dT%H%M%SZ}"
    try:
        path.with_suffix(".svg").write_text(app.export_screenshot(title="dfmon"), encoding="utf-8")
        path.with_suffix(".txt").write_text(app.screen_text(), encoding="utf-8")
    except OSError as error:
        app.view.show_notice(f"not saved: {error.strerror or error}", app.clock(), 8)
    else:
        app.view.show_notice(f"saved {path}.svg and .txt", app.clock(), 8)


def copy_numbers(app: DfmonApp) -> None:
    _copy(app, clipboard_text(app.frame()))


def copy_locator(app: DfmonApp) -> None:
    if app.view.sheet == "book":
        app.view.show_notice("the own book has no locator", app.clock())
        return
    try:
        _copy(app, str(locator_of(app.view, app.frame())))
    except UsageError as error:
        app.view.show_notice(str(error), app.clock(), 8)


def write_output(output: ScreenOutput, app: DfmonApp) -> None:
    """Writes an export to its file or to the clipboard, once the command line is off the screen."""
    app.draw()
    app.call_after_refresh(_write_output, output, app)


def _write_output(output: ScreenOutput, app: DfmonApp) -> None:
    screen = app.export_screenshot(title="dfmon") if output.suffix == ".svg" else app.screen_text()
    content = output.content or screen.encode()
    if output.path is None:
        app.copy_to_clipboard(content.decode())
    notice = write_new_file(output.path, content) if output.path else f"copied {len(content):,} bytes"
    app.view.show_notice(notice, app.clock(), 8)
    app.draw()


def _copy(app: DfmonApp, text: str) -> None:
    """Hands text to the clipboard of the terminal; parts of it are of others."""
    cleaned = sanitize(text, MAX_COPIED)
    app.copy_to_clipboard(cleaned)
    app.view.show_notice(f"copied: {cleaned}", app.clock())


APP_ACTIONS: Final[dict[str, Callable[[DfmonApp], None]]] = {
    "app.quit": partial(leave, 0),
    "app.interrupt": partial(leave, 130),
    "app.suspend": suspend,
    "app.palette": lambda app: app.action_command_palette(),
    "app.redraw": lambda app: app.redraw_terminal(),
    "app.pause": lambda app: app.toggle_pause(),
    "app.currency": next_currency,
    "app.snapshot": save_screen,
    "view.copy": copy_locator,
    "cell.copy": copy_numbers,
}
