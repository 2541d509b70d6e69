"""`dfmon config`: path of the configuration file, its check, the settings in force, and a first file to edit."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from dfmon import config
from dfmon.config import Config
from dfmon.config.variables import expand_home, named_dotenv
from dfmon.model.errors import EXIT_OK, UsageError
from dfmon.model.units import sanitize
from dfmon.runtime.composition import rest_settings
from dfmon.runtime.runner import key_changes
from dfmon.sinks.secret_urls import mask_url

_PACKAGE: Final = Path(__file__).parent.parent
TEMPLATES: Final = (_PACKAGE / "config.toml", _PACKAGE.parent / "config.toml")  # of a wheel, of a checkout


def run(args: argparse.Namespace) -> int:
    """Runs the action `path`, `init`, `check` or `show`. Raises UsageError for a file that is not valid."""
    named, environ = getattr(args, "config", None), config.environment()
    dotenv_name, dotenv = named_dotenv(getattr(args, "env_file", None), environ)
    path = config.default_path(environ) if named is None else expand_home(named, environ)
    if args.action == "path":
        lines = [str(path)]
    elif args.action == "init":
        write_template(path)
        lines = [f"{path}: written, with every key and its default as a comment"]
    else:
        loaded, origins = (
            config.load(named, environ, {}, dotenv, dotenv_name),
            config.origins(named, environ, dotenv, dotenv_name),
        )
        config.flow_params(loaded)
        rest_settings(loaded.publish)  # a token that the start would refuse
        key_changes(loaded, str(path))
        lines = list(settings(loaded, origins))
        if args.action == "check":
            lines = [
                f"{path}: {'valid' if path.exists() else 'absent, defaults in force'}",
                *map(_by_origin, origins.items()),
            ]
    sys.stdout.writelines(f"{sanitize(line, 500)}\n" for line in lines)
    return EXIT_OK


def settings(loaded: Config, origins: Mapping[str, str]) -> Iterator[str]:
    """Lines of TOML: every key with its value, and where it is set unless by default. Secrets are masked."""
    tree = msgspec.to_builtins(loaded)
    for table in tree.pop("alert"):
        yield "[[alert]]"
        for name, value in table.items():
            shown = f"{value.partition('://')[0]}://…" if name == "webhook" and value else value
            yield f"{name} = {json.dumps(shown, ensure_ascii=False)}"
    for section, keys in tree.items():
        yield f"[{section}]"
        for name, value in keys.items():
            shown = mask_url(value) if isinstance(value, str) and "://" in value else value
            if name.endswith(("token", "password")) and value:
                shown = "***"
            text = json.dumps(shown, ensure_ascii=False)
            origin = origins.get(f"{section}.{name}")
            yield f"{name if section != 'keys' else json.dumps(name)} = {text}" + (f"  # {origin}" if origin else "")


def write_template(path: Path) -> None:
    """Writes the shipped configuration with its keys commented out. Raises UsageError if `path` exists."""
    template = next(file for file in TEMPLATES if file.exists()).read_text(encoding="utf-8")
    text = re.sub(r"^(?=\w+ *=)", "# ", template, flags=re.MULTILINE)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists; edit it, or name another file with --config") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _by_origin(item: tuple[str, str]) -> str:
    key, origin = item
    return f"{key}: {origin}"
