"""The environment that says what the terminal shows."""

from __future__ import annotations

import pytest

from dfmon.tui.terminal import _is_locale_c


@pytest.mark.parametrize(
    ("environ", "is_c"),
    [
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "POSIX"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8", "LC_ALL": ""}, True),
        ({"LANG": "C", "LC_ALL": "C.UTF-8"}, False),
        ({}, False),
    ],
)
def test_the_locale_c_is_that_of_its_name(environ: dict[str, str], is_c: bool) -> None:
    assert _is_locale_c(environ) == is_c
