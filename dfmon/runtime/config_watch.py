"""An edited configuration file beside a session: what can change at once does, the rest is named.

The file's time and size are looked at once a second, by the screen or beside a headless run. A broken edit leaves the
settings as they are, and is a condition of the session until it is mended.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from dfmon.aio import wait_until_set
from dfmon.config import AlertSection, Config, ConfigSource, alert_rules
from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import UsageError
from dfmon.runtime.rule_runner import RuleRunner
from dfmon.tui.settings import ScreenSettings, SettingsChange

log = logging.getLogger("dfmon")

LIVE_KEYS: Final = frozenset({"screen.palette", "screen.icons", "screen.rate_hz", "screen.mouse", "screen.tape_min"})
"""Keys that the screen takes over at once, beside `[keys]`; the others are of the market, which takes a restart."""
_POLL_S: Final = 1.0


class ConfigWatch:
    """Reads the file of a configuration again when it has changed. `make_settings` is that of a screen, if any."""

    def __init__(
        self, source: ConfigSource, hub: SnapshotHub, make_settings: Callable[[Config], ScreenSettings] | None = None
    ) -> None:
        self._source, self._hub, self._make_settings = source, hub, make_settings
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
            settings = self._make_settings(config) if self._make_settings is not None else None
        except UsageError as error:
            sentence = with_line(str(error), str(self._source.file), self._text())
            log.warning("%s; the settings before it stay in force", sentence)
            self._hub.config_error = sentence
            return SettingsChange(error=sentence)
        self._hub.config_error = ""
        changed = list(_differences(self._config, config))
        self._config = config
        live = tuple(key for key in changed if key in LIVE_KEYS or key.startswith("keys.")) if settings else ()
        if "alert" in changed and isinstance(self._hub.rules, RuleRunner):
            live += ("alert",)
            changed += _set_rules(self._hub.rules, config.alert)
        change = SettingsChange(settings, live, tuple(key for key in changed if key not in live))
        if changed:
            log.info("%s: %s", self._source.file, change)
        return change

    async def run(self, stop: asyncio.Event) -> None:
        """Polls until `stop`, where there is no screen that does."""
        while not await wait_until_set(stop, _POLL_S):
            self.poll()

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


def _set_rules(runner: RuleRunner, sections: Sequence[AlertSection]) -> list[str]:
    """Puts edited rules in force. Returns what of them is not: hooks, where the session has run none so far."""
    runner.set_rules(rules := alert_rules(sections))
    has_new_hooks = any(rule.command or rule.webhook for rule in rules) and not runner.has_hooks
    return ["commands and webhooks of alerts"] if has_new_hooks else []


def _differences(before: Config, after: Config) -> Iterator[str]:
    """The keys whose values differ, as "section.key"; "alert" where rules do."""
    if before.alert != after.alert:
        yield "alert"
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    for section in (name for name in new if name != "alert"):
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
