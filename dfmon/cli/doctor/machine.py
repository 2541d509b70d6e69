"""Checks that need no network: folders and disk, the terminal, the extras, proxies and certificates."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dfmon.cli.doctor.findings import Finding, failure, note, ok
from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.tui.terminal import check_terminal
from dfmon.venues.certificates import tls_context
from dfmon.venues.proxies import environment_proxies

_MEGABYTE: Final = 1 << 20
_MIN_FREE_MB: Final = 200
_LOW_FREE_MB: Final = 2_000
_EXTRAS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "redis": (("hiredis",), "--redis"),
    "server": (("fastapi", "uvicorn"), "--rest"),
    "parquet": (("pyarrow",), "parquet boards"),
    "fast": (("numba",), "compiled pricing (market.compiled)"),
    "net": (("picows", "uvloop"), "the faster sockets"),
    "socks": (("socksio", "python_socks"), "SOCKS proxies"),
}


def check_folder(about: str, path: Path) -> Finding:
    """Checks that a folder can be written, its free space and its size."""
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    path_text = sanitize(str(path))
    if not existing.is_dir():
        return failure(about, f"{path_text}: {sanitize(str(existing))} is not a folder")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
        free = shutil.disk_usage(existing).free // _MEGABYTE
    except OSError as exc:
        return failure(about, f"{path_text}: cannot be written: {sanitize(exc.strerror or str(exc))}")
    used_mb = _folder_bytes(path) // _MEGABYTE
    text = f"{path_text}: {'writable' if path.exists() else 'will be made'}, holds {used_mb:,} MB, {free:,} MB free"
    if free < _MIN_FREE_MB:
        return failure(about, f"{text}: the disk is almost full")
    return (note if free < _LOW_FREE_MB else ok)(about, text)


def _folder_bytes(path: Path) -> int:
    """Bytes below a folder; what cannot be read counts nothing."""
    total = 0
    for root, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except OSError:
                continue
    return total


def check_environment() -> list[Finding]:
    """Interpreter, terminal, extras, proxy."""
    findings = [ok("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    error = check_terminal()
    findings.append(note("terminal", sanitize(error)) if error else ok("terminal", "a screen can be drawn"))
    for extra, (modules, purpose) in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            text = f"not installed ({', '.join(missing)}): for {purpose} run `pip install 'dfmon[{extra}]'`"
            findings.append(note(f"extra {extra}", text))
        else:
            findings.append(ok(f"extra {extra}", "installed"))
    return [*findings, *_check_routes()]


def _check_routes() -> list[Finding]:
    """The proxies and the certificates that the environment names, if it does."""
    findings = []
    try:
        if proxies := [str(proxy).removeprefix("proxy ") for proxy in environment_proxies()]:
            findings.append(note("proxy", f"{', '.join(proxies)}; loopback and the hosts of NO_PROXY are direct"))
    except UsageError as exc:
        findings.append(failure("proxy", str(exc)))
    try:
        tls_context()
    except UsageError as exc:
        findings.append(failure("certificates", str(exc)))
    return findings
