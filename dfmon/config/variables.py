"""The DFMON_ variables of the process and of a file `.env`, and the folders that the environment names."""

from __future__ import annotations

import codecs
import difflib
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize

log = logging.getLogger("dfmon")

PREFIX: Final = "DFMON_"
_TEST_VARIABLES: Final = frozenset({"DFMON_REAL_DATA"})
_SERVICE_LINK = re.compile(r"DFMON_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")
_MAX_DOTENV_BYTES: Final = 1 << 20


def read_dotenv(path: Path) -> dict[str, str]:
    """The DFMON_ variables of a file of NAME=VALUE lines, with their values; nothing if there is no such file.

    `export`, quotes and comments are understood. Other lines are ignored: the file may be another program's. Raises
    UsageError for a file that cannot be read, and with the line for one that names a variable of ours without a value.
    """
    if not path.is_file():  # a pipe without a writer would block
        return {}
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_DOTENV_BYTES + 1)
    except OSError as exc:
        raise UsageError(f"{sanitize(str(path))} cannot be read: {(exc.strerror or str(exc)).lower()}") from None
    if len(content) > _MAX_DOTENV_BYTES:
        raise UsageError(
            f"{sanitize(str(path))} has more than {_MAX_DOTENV_BYTES:,} bytes: NAME=VALUE lines are expected"
        )
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    lines = content.decode(encoding, "replace").splitlines()
    values: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ").lstrip()
        if not text.startswith(PREFIX):
            continue
        name, separator, value = text.partition("=")
        if not separator or not name.strip().isidentifier():
            shown = sanitize(name.split()[0], 40)  # what follows may be a password
            raise UsageError(f"{sanitize(str(path))}: line {number}: {shown} has no value; allowed: NAME=VALUE")
        values[name.strip()] = _unquoted(value.strip())
    return values


def named_dotenv(named: Path | None, environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The name and the variables of the file of --env-file, else of `.env` in the working directory.

    Raises UsageError for a named file that is not there, and as `read_dotenv` does.
    """
    path = Path(".env") if named is None else expand_home(named, environ)
    if named is not None and not path.is_file():
        raise UsageError(f"--env-file {sanitize(str(path))}: no such file")
    return sanitize(str(path)), read_dotenv(path)


def _unquoted(value: str) -> str:
    """A value without its quotes, or without the comment behind it."""
    if match := re.fullmatch(r"(['\"])(.*?)\1\s*(#.*)?", value):
        return match[2]
    return re.sub(r"(^|\s+)#.*", "", value).strip()


def check_variables(environ: Mapping[str, str], known: Iterable[str], origin: str) -> None:
    """Raises UsageError for a DFMON_ variable that means nothing, with the closest one that does.

    Those that Kubernetes and Docker set for a service of the name dfmon are left out.
    """
    names = list(known)
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in names or name in _TEST_VARIABLES or _is_service_link(name, value):
            continue
        parts = [known_name.removeprefix(PREFIX) for known_name in names]  # the prefix alone makes any two look alike
        closest = difflib.get_close_matches(name.removeprefix(PREFIX), parts, 1)
        hint = (
            f"did you mean {PREFIX}{closest[0]}?"
            if closest
            else "allowed: DFMON_<SECTION>_<KEY> of the keys in config.toml"
        )
        raise UsageError(f"{origin} {sanitize(name, 60)} is unknown; {hint}")


def _is_service_link(name: str, value: str) -> bool:
    is_address = name.endswith("_PORT") and value.startswith(("tcp://", "udp://"))
    return is_address or _SERVICE_LINK.fullmatch(name) is not None


def xdg_folder(environ: Mapping[str, str], variable: str, fallback: str) -> Path:
    """The folder of an XDG variable, else `fallback` below the home folder. As XDG asks, no relative path is used."""
    if value := environ.get(variable, ""):
        folder = expand_home(value, environ)
        if folder.is_absolute():
            return folder
        log.warning("%s is %r, which is not used: only an absolute path is", variable, sanitize(value, 60))
    return expand_home(f"~/{fallback}", environ)


def expand_home(path: str | Path, environ: Mapping[str, str]) -> Path:
    """The path with the home folder in place of a leading `~`. Raises UsageError where there is none."""
    text = str(path)
    home = environ.get("HOME", "")
    if home and (text == "~" or text.startswith("~/")):
        return Path(home + text[1:])
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{sanitize(text)}: the home folder is not known; set HOME or give an absolute path") from None
