"""An edited configuration file beside a running screen: what can change at once does, the rest is named.

The file's time and size are looked at once a second, by the screen. A broken edit leaves the settings as they are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from dfmon.config import Config, ConfigSource
from dfmon.model.errors import UsageError
from dfmon.tui.settings import ScreenSettings, SettingsChange

log = logging.getLogger("dfmon")

LIVE_KEYS: Final = frozenset({"screen.palette", "screen.icons", "screen.rate_hz", "screen.mouse", "screen.tape_min"})
"""Keys that the screen takes over at once, beside `[keys]`; the others are of the market, which takes a restart."""


class ConfigWatch:
    """Reads the file of a configuration again when it has changed."""

    def __init__(self, source: ConfigSource, make_settings: Callable[[Config], ScreenSettings]) -> None:
        self._source, self._make_settings = source, make_settings
        self._config = source.load()  # not that of the session: a demo has other addresses than the file
        self._stamp = self._read_stamp()

    def poll(self) -> SettingsChange | None:
        """The change by an edit since the last call; None without one."""
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            config = self._source.load()
            settings = self._make_settings(config)
        except UsageError as error:
            sentence = with_line(str(error), str(self._source.file), self._text())
            log.warning("%s; the settings before it stay in force", sentence)
            return SettingsChange(error=sentence)
        changed = list(_differences(self._config, config))
        self._config = config
        live = tuple(key for key in changed if key in LIVE_KEYS or key.startswith("keys."))
        change = SettingsChange(settings, live, tuple(key for key in changed if key not in live))
        if changed:
            log.info("%s: %s", self._source.file, change)
        return change

    def _read_stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._source.file.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _text(self) -> str:
        try:
            return self._source.file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def _differences(before: Config, after: Config) -> Iterator[str]:
    """The keys whose values differ, as "section.key"."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    for section in new:
        for name in dict.fromkeys((*old[section], *new[section])):
            if old[section].get(name) != new[section].get(name):
                yield f"{section}.{name}"


def with_line(sentence: str, file: str, text: str) -> str:
    r"""The sentence with the line of the key that it is about, where the file has it.

    >>> with_line("a.toml: screen.rate_hz is 9, allowed: 0.1 to 4", "a.toml", "[screen]\n\nrate_hz = 9")
    'a.toml: line 3: screen.rate_hz is 9, allowed: 0.1 to 4'
    """
    found = re.match(r"(?:unknown key )?(\w+)\.([\w.-]+)", sentence.removeprefix(f"{file}: "))
    if not sentence.startswith(f"{file}: ") or found is None:
        return sentence
    section, key = found.groups()
    name, current = re.compile(rf'\s*["\']?{re.escape(key)}["\']?\s*='), ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([\w.]+)\]", line):
            current = header[1]
        elif current == section and name.match(line):
            return f"{file}: line {number}: {sentence.removeprefix(f'{file}: ')}"
    return sentence
