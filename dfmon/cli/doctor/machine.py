"""What the doctor can see without a network: folders and disk, the terminal, the extras, a proxy."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.request import getproxies

from dfmon.cli.doctor.findings import Finding, note, ok, wrong
from dfmon.model.units import clean
from dfmon.tui.terminal import check_terminal

_MEGABYTE: Final = 1 << 20
_LEAST_FREE_MB: Final = 200
_LITTLE_FREE_MB: Final = 2_000
_EXTRAS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "redis": (("redis", "hiredis"), "--redis"),
    "server": (("fastapi", "uvicorn"), "--rest"),
    "parquet": (("pyarrow",), "parquet boards"),
    "fast": (("numba",), "compiled pricing (market.compiled)"),
    "net": (("picows", "uvloop"), "the faster sockets"),
}


def folder(about: str, path: Path) -> Finding:
    """Whether a folder can be written, how much room there is, how much it holds."""
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    shown = clean(str(path))
    if not there.is_dir():
        return wrong(about, f"{shown}: {clean(str(there))} is not a folder")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free // _MEGABYTE
    except OSError as exc:
        return wrong(about, f"{shown}: cannot be written: {clean(exc.strerror or str(exc))}")
    held = _held(path) // _MEGABYTE
    words = f"{shown}: {'writable' if path.exists() else 'will be made'}, holds {held:,} MB, {free:,} MB free"
    if free < _LEAST_FREE_MB:
        return wrong(about, f"{words}: the disk is almost full")
    return (note if free < _LITTLE_FREE_MB else ok)(about, words)


def _held(path: Path) -> int:
    """Bytes below a folder; what cannot be read counts nothing."""
    total = 0
    for root, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except OSError:
                continue
    return total


def here() -> list[Finding]:
    """Interpreter, terminal, extras, proxy."""
    findings = [ok("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    trouble = check_terminal()
    findings.append(note("terminal", clean(trouble)) if trouble else ok("terminal", "a screen can be drawn"))
    for extra, (modules, purpose) in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            words = f"not installed ({', '.join(missing)}): for {purpose} run `pip install 'dfmon[{extra}]'`"
            findings.append(note(f"extra {extra}", words))
        else:
            findings.append(ok(f"extra {extra}", "installed"))
    if getproxies():
        findings.append(note("proxy", f"the environment names one for {', '.join(sorted(getproxies()))}"))
    return findings
