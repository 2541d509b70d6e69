"""The keys in force: those of the action table with the changes of `[keys]` in the configuration.

A key that types a character is that character; the others have Textual's names.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.tui.actions import CONTEXT_ACTIONS, SCREEN_ACTIONS, Action

Keys = tuple[str, ...]
KeyChanges = tuple[tuple[str, Keys], ...]  # keys by action id, in a form that can be compared and cached

NAMED_KEYS: Final = (
    "enter", "escape", "tab", "shift+tab", "space", "backspace", "delete", "insert", "home", "end", "pageup",
    "pagedown", "up", "down", "left", "right",
)  # fmt: skip
KEY_FORMS: Final = f"a character such as w, ctrl+a to ctrl+z, f1 to f12, {', '.join(NAMED_KEYS)}"
_KEY_PATTERN: Final = re.compile(rf"[!-~]|ctrl\+[a-z]|f[1-9]|f1[0-2]|{'|'.join(map(re.escape, NAMED_KEYS))}")
_SAME_AS: Final = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+h": "backspace"}  # a terminal sends one for both
_FIXED: Final = {"app.interrupt": "ctrl+c", "app.suspend": "ctrl+z"}  # they work while text is typed, too
_LABELS: Final = {"escape": "esc", "pageup": "pgup", "pagedown": "pgdn"}
_DEFAULT_KEYS: Final = {action.id: action.keys for action in (*SCREEN_ACTIONS, *CONTEXT_ACTIONS)}


@dataclass(frozen=True, slots=True)
class KeyMap:
    """The actions with their keys in force, and the action of each key."""

    actions: tuple[Action, ...]
    by_key: Mapping[str, Action]

    def find(self, key: str, character: str | None) -> Action | None:
        """The action of a key, by Textual's name or by the character that it types."""
        return self.by_key.get(key) or self.by_key.get(character or key)


def bind(actions: Sequence[Action], changes: KeyChanges) -> KeyMap:
    """The key map of a table of actions. Raises UsageError for an unknown action or key, and for a conflict."""
    changed_keys = dict(changes)
    known = [action.id for action in actions]
    for name, keys in changed_keys.items():
        _check_action(name, known)
        for key in keys:
            _check_key(name, key)
    bound = [
        dataclasses.replace(action, keys=changed_keys[action.id]) if action.id in changed_keys else action
        for action in actions
    ]
    by_key: dict[str, Action] = {}
    for action in bound:
        for key in action.keys:
            if (other := by_key.setdefault(key, action)) is not action:
                changed, taken = (action, other) if action.id in changed_keys else (other, action)
                raise UsageError(
                    f'keys.{changed.id} is "{key}", the key of {taken.id}; allowed: another key for either, '
                    f"free are {' '.join(_free_keys(bound))}"
                )
    return KeyMap(tuple(_with_labels(bound, changed_keys)), by_key)


def key_label(key: str) -> str:
    """A key as it is printed."""
    return _LABELS.get(key, key)


def label_of(changes: KeyChanges, action_id: str) -> str:
    """The first key in force of an action that is no sheet's, as printed; its `:` name where it has none."""
    keys = dict(changes).get(action_id, _DEFAULT_KEYS[action_id])
    return key_label(keys[0]) if keys else f":{action_id}"


def _check_action(name: str, known: Sequence[str]) -> None:
    if name in _FIXED:
        raise UsageError(f"keys.{name} cannot be changed, allowed: {_FIXED[name]}, as everywhere in a terminal")
    if name not in known:
        closest = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {closest[0]}?" if closest else f"allowed: {', '.join(known)}"
        raise UsageError(f"keys.{sanitize(name, 60)} is no action; {hint}")


def _check_key(name: str, key: str) -> None:
    if (same := _SAME_AS.get(key)) is not None:
        raise UsageError(f'keys.{name} is "{key}", which a terminal cannot tell from {same}; allowed: {KEY_FORMS}')
    if not _KEY_PATTERN.fullmatch(key):
        raise UsageError(f'keys.{name} is "{sanitize(key, 20)}", allowed: {KEY_FORMS}')


def _free_keys(actions: Iterable[Action]) -> list[str]:
    taken = {key for action in actions for key in action.keys}
    return [letter for letter in string.ascii_letters if letter not in taken]


def _with_labels(actions: Sequence[Action], changed: Mapping[str, Keys]) -> list[Action]:
    """The actions with the keys in force in the label of each line of help; an untouched line keeps its own."""
    out = list(actions)
    starts = [i for i, action in enumerate(actions) if action.help] + [len(actions)]
    for start, end in pairwise(starts):
        line = actions[start:end]
        if any(action.id in changed for action in line):
            label = " ".join(key_label(action.keys[0]) for action in line if action.keys) or "none"
            out[start] = dataclasses.replace(out[start], key_label=label)
    return out
