"""Fewer bytes, the same picture: whatever is written, a terminal shows the same with and without the diff."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from dfmon.tui.diff_driver import TerminalDiff, style_transition

WIDTH, HEIGHT = 24, 6
STYLES = (
    "", "38;5;252;48;5;234", "1;38;5;252;48;5;234", "38;5;75;48;5;234", "38;5;16;48;5;214", "2", "1;7", "4;31", "97;44",
)  # fmt: skip

styles = st.sampled_from(STYLES)
texts = st.text(alphabet="ab 1│█▲·漢", min_size=1, max_size=8)
pieces = st.tuples(
    st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 10), st.lists(st.tuples(styles, texts), max_size=4)
)
frames = st.lists(st.lists(pieces, max_size=6), max_size=6)


def textual_output(frame: list[tuple[int, int, list[tuple[str, str]]]]) -> str:
    """As Textual writes: every run sets its style and resets it, and none goes beyond the right edge."""
    out = []
    for y, x, runs in frame:
        out.append(f"\x1b[{y + 1};{x + 1}H")
        for style, text in runs:
            while cell_len(text) > WIDTH - x:
                text = text[:-1]
            x += cell_len(text)
            out.append(f"\x1b[{style}m{text}\x1b[0m" if style else text)
    return "\x1b[?2026h" + "".join(out) + "\x1b[1;1H\x1b[?2026l"


class FakeTerminal:
    """A terminal to look at."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.screen.reset_mode(pyte.modes.DECAWM)
        self.stream = pyte.Stream(self.screen)

    def rendered_cells(self) -> list[list[tuple[object, ...]]]:
        """Each cell as the eye sees it: a blank has a ground and no ink."""
        out = []
        for y in range(HEIGHT):
            row: list[tuple[object, ...]] = []
            for x in range(WIDTH):
                c = self.screen.buffer[y][x]
                visible = (c.bg,) if c.data == " " and not (c.reverse or c.underscore) else c._replace(data="")
                row.append((c.data, *visible))
            out.append(row)
        return out


@pytest.mark.slow
@settings(max_examples=300)
@given(frames)
def test_the_picture_is_the_same(given_frames: list[list[tuple[int, int, list[tuple[str, str]]]]]) -> None:
    expected, actual, diff = FakeTerminal(), FakeTerminal(), TerminalDiff()
    for i, frame in enumerate(given_frames):
        data = textual_output(frame)
        diffed_data = diff(data)
        expected.stream.feed(data)
        actual.stream.feed(diffed_data)
        assert actual.rendered_cells() == expected.rendered_cells()
        assert actual.screen.cursor.attrs == expected.screen.cursor.attrs
        if i == 3:
            diff.invalidate()


def test_what_stands_there_is_not_sent_again() -> None:
    diff = TerminalDiff()
    frame = textual_output([(0, 0, [("38;5;252;48;5;234", "NGI   -38.2 "), ("38;5;75;48;5;234", "███")])])
    first, second = diff(frame), diff(frame)
    assert "NGI   -38.2 " in first
    assert second == "\x1b[?2026h\x1b[?2026l"
    third = diff(frame.replace("38.2", "39.4"))
    assert third == "\x1b[?2026h\x1b[8C\x1b[38;5;252;48;5;234m9.4\x1b[?2026l\x1b[m"


@pytest.mark.parametrize("sequence", ["\x1b[2J", "\x1b[?1049h", "\x1bc", "\x1bP+q\x1b\\", "\x07"])
def test_after_what_it_does_not_know_everything_is_sent(sequence: str) -> None:
    diff = TerminalDiff()
    frame = textual_output([(2, 3, [("38;5;75", "flip 100,900")])])
    diff(frame)
    assert diff(sequence).endswith(sequence) or sequence in diff(sequence)
    assert "flip 100,900" in diff(frame)


def test_a_screen_somebody_wrote_over_heals() -> None:
    diff = TerminalDiff()
    frame = textual_output([(2, 3, [("38;5;75", "flip 100,900")])])
    diff(frame)
    assert any("flip 100,900" in diff(frame) for _ in range(300))


@given(styles, styles)
def test_a_turn_ends_in_the_style_asked_for_and_is_never_longer(before: str, after: str) -> None:
    full, transition = FakeTerminal(), FakeTerminal()
    for terminal, codes in (
        (full, f"\x1b[0;{after}m" if after else "\x1b[0m"),
        (transition, style_transition(before, after)),
    ):
        terminal.stream.feed(f"\x1b[{before}m" if before else "")
        terminal.stream.feed(codes)
    assert transition.screen.cursor.attrs == full.screen.cursor.attrs
    assert len(style_transition(before, after)) <= len(f"\x1b[0;{after}m")
