from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from dfmon.cli.main import PrivateFileHandler, _configure_logging


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    log = logging.getLogger("dfmon")
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    for handler in log.handlers:
        handler.close()
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)


def test_the_log_is_its_owners_also_after_it_was_rotated(tmp_path: Path) -> None:
    path = tmp_path / "dfmon.log"
    _configure_logging(path, screen=True)
    log = logging.getLogger("dfmon")
    (handler,) = log.handlers
    assert isinstance(handler, PrivateFileHandler)
    handler.maxBytes = 100
    for number in range(4):
        log.warning("line %d of some length, so that the file is full", number)
    files = sorted(tmp_path.iterdir())
    assert len(files) > 1
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_log_on_a_full_disk_writes_nothing_into_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    _configure_logging(full, screen=True)
    (handler,) = logging.getLogger("dfmon").handlers
    assert isinstance(handler, PrivateFileHandler)
    logging.getLogger("dfmon").warning("lost")
    stream: IO[str] | None = handler.stream
    assert stream is not None
    with suppress(OSError):  # what is left in its buffer
        stream.close()
    handler.stream = None
    assert capsys.readouterr() == ("", "")
