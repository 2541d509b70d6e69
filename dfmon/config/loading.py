"""The only reader of config.toml and of the environment: both become one frozen `Config`.

Flags override the environment (DFMON_<SECTION>_<KEY>), which overrides the file `.env` of the working directory, then
the configuration file, then the defaults.
An invalid key or value is a UsageError with the file, the key, what was found and what is allowed.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dfmon.config.alert_section import check_alert_tables
from dfmon.config.sections import CLASS_SHARES_HELP, Config, ModelSection, ScenarioSection, section_types
from dfmon.config.setting_errors import validation_message, with_flat_keys, with_present_names
from dfmon.config.variables import PREFIX, check_variables, expand_home, xdg_folder
from dfmon.core.exposure.desks import Desk
from dfmon.core.freshness import FreshnessLimits
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.scenario.thresholds import Thresholds
from dfmon.core.step import FlowParams
from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.store.file_content import read_text
from dfmon.store.positions_file import read_positions
from dfmon.venues.registry import VENUES
from dfmon.venues.spec import OptionsSettings


def load(
    path: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    dotenv: Mapping[str, str] | None = None,
    dotenv_name: str = ".env",
) -> Config:
    """The configuration in force.

    `path` is the file named by --config, or None for the one in the XDG configuration folder, which may be missing.
    `dotenv` has the variables of the file `dotenv_name`, which those of `environ` override. `flags` maps "section.key"
    to values given on the command line. Raises UsageError.
    """
    file = default_path(environ) if path is None else expand_home(path, environ)
    text = _read(file, required=path is not None)
    tree = with_flat_keys(with_present_names(_parse(text, file), str(file)), str(file))
    check_alert_tables(tree, sanitize(str(file)), text)
    config = _convert(tree, str(file), strict=True)
    config = _override(config, _from_environment(dotenv or {}, f"{dotenv_name}:"))
    config = _override(config, _from_environment(environ, "environment variable"))
    config = _override(config, {key: (value, "the command line") for key, value in flags.items()})
    return _with_home(config, environ)


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The files, variables and flags of a configuration, so that it can be read again."""

    path: Path | None
    environ: Mapping[str, str]
    flags: Mapping[str, object]
    dotenv: Mapping[str, str]
    dotenv_name: str

    @property
    def file(self) -> Path:
        return default_path(self.environ) if self.path is None else expand_home(self.path, self.environ)

    def load(self) -> Config:
        """The configuration in force now. Raises UsageError."""
        return load(self.path, self.environ, self.flags, self.dotenv, self.dotenv_name)


def _with_home(config: Config, environ: Mapping[str, str]) -> Config:
    """The configuration with the home folder in place of a leading `~` of each path."""
    model, _, file = config.market.positions.partition(":")
    publish = msgspec.to_builtins(config.publish)
    paths = {
        "history.path": config.history.path,
        "record.directory": config.record.directory,
        "history.password_file": config.history.password_file,
        **{f"publish.{name}": path for name, path in publish.items() if name.endswith(("_file", "_folder"))},
    }
    expanded = {key: str(expand_home(path, environ)) for key, path in paths.items() if path.startswith("~")}
    if file.startswith("~"):
        expanded["market.positions"] = f"{model}:{expand_home(file, environ)}"
    return _override(config, {key: (path, "the home folder") for key, path in expanded.items()})


def origins(
    path: Path | None, environ: Mapping[str, str], dotenv: Mapping[str, str] | None = None, dotenv_name: str = ".env"
) -> dict[str, str]:
    """File or variable that sets each "section.key" without a default value."""
    file = default_path(environ) if path is None else expand_home(path, environ)
    tree = with_present_names(_parse(_read(file, required=path is not None), file), str(file))
    tree = with_flat_keys(tree, str(file))
    in_file = {f"{section}.{key}": str(file) for section, keys in tree.items() if section != "alert" for key in keys}
    variables = _from_environment(dotenv or {}, f"{dotenv_name}:") | _from_environment(environ, "environment variable")
    return in_file | {key: origin for key, (_, origin) in variables.items()}


def options_settings(config: Config) -> dict[str, OptionsSettings]:
    """The sections of the enabled options venues, by name. Raises UsageError if all are disabled."""
    sections = {spec.name: config.venue(spec.name) for spec in VENUES if spec.lists_options}
    enabled = {name: s for name, s in sections.items() if isinstance(s, OptionsSettings) and s.enabled}
    if not enabled:
        raise UsageError(f"{next(iter(sections))}.enabled is false, allowed: true for at least one venue of options")
    return enabled


def flow_params(config: Config) -> FlowParams:
    """The parameters of the model. Reads the position file if there is one.

    Raises UsageError if shares do not add up to 1, or thresholds do not ascend.
    """
    model, _, file = config.market.positions.partition(":")
    return FlowParams(
        positions=model,
        file_positions=read_positions(Path(file)) if file else None,
        numeraire=config.market.numeraire,
        stickiness=config.market.stickiness,
        warm_coverage=config.market.warm_coverage,
        freshness=FreshnessLimits(**msgspec.structs.asdict(config.freshness)),
        iv_move_1h=config.scenario.iv_move_1h,
        thresholds=_thresholds(config.scenario),
        priors=_priors(config.model),
        venue_share=config.model.venue_share,
        desks=_desks(config.model.desks),
        risk_aversion=config.model.risk_aversion,
        impact_law=config.model.impact_law,
    )


def _priors(model: ModelSection) -> PositionPriors:
    values = {
        name: getattr(model, "lean" if name == "trend_coefficient" else name)
        for name in PositionPriors.__struct_fields__
    }
    for name, value in values.items():
        if isinstance(value, tuple) and (min(value) < 0.0 or not math.isclose(sum(value), 1.0, abs_tol=1e-6)):
            raise UsageError(f"model.{name} is {list(value)}, allowed: {CLASS_SHARES_HELP}")
    return PositionPriors(**values)


def _thresholds(scenario: ScenarioSection) -> Thresholds:
    low, mid, high = scenario.gamma_lo, scenario.gamma_mid, scenario.gamma_hi
    if not low <= mid <= high:
        raise UsageError(f"scenario.gamma_lo, gamma_mid, gamma_hi are {[low, mid, high]}, allowed: ascending shares")
    return Thresholds(low, mid, high, scenario.liquidations_hi)


def _desks(desk_texts: tuple[str, ...]) -> tuple[Desk, ...]:
    allowed = "SHARE:RATIO:COST of each desk, with a ratio up to 2 and shares that add up to 1"
    try:
        desks = tuple(Desk(*(float(part) for part in text.split(":"))) for text in desk_texts)
    except ValueError:
        desks = ()
    if not math.isclose(sum(desk.share for desk in desks), 1.0, abs_tol=1e-6) or max(d.ratio for d in desks) > 2.0:
        raise UsageError(f"model.desks is {list(desk_texts)}, allowed: {allowed}")
    return desks


def default_path(environ: Mapping[str, str]) -> Path:
    return xdg_folder(environ, "XDG_CONFIG_HOME", ".config") / "dfmon" / "config.toml"


def state_folder(environ: Mapping[str, str]) -> Path:
    """The XDG state folder, for history, prints and positions."""
    return xdg_folder(environ, "XDG_STATE_HOME", ".local/state") / "dfmon"


def environment() -> Mapping[str, str]:
    """The process environment; no other module reads it."""
    return os.environ


def _read(file: Path, *, required: bool) -> str:
    """The text of a configuration file, empty where there is none and none is required."""
    if os.path.lexists(file):
        return read_text(file, "a configuration file")
    if required:
        raise UsageError(f"{sanitize(str(file))}: no such configuration file")
    return ""


def _parse(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as exc:
        raise UsageError(f"{sanitize(str(file))}: not TOML: {sanitize(str(exc))}") from None


def _from_environment(environ: Mapping[str, str], origin: str) -> dict[str, tuple[object, str]]:
    """Values by key, with their origin. Raises UsageError for a variable that is none of ours."""
    keys = {
        f"{PREFIX}{name}_{key.name}".upper(): f"{name}.{key.name}"
        for name, section in section_types().items()
        for key in msgspec.structs.fields(section)
    }
    check_variables(environ, keys, origin)
    return {key: (environ[name], f"{origin} {name}") for name, key in keys.items() if name in environ}


def _override(config: Config, values: Mapping[str, tuple[object, str]]) -> Config:
    tree = msgspec.to_builtins(config)
    for key, (value, origin) in values.items():
        section, _, name = key.partition(".")
        if isinstance(value, str) and isinstance(tree[section][name], (list, tuple)):
            value = [part.strip() for part in value.split(",") if part.strip()]
        tree[section][name] = value
        config = _convert(tree, origin, strict=False)
    return config


def _convert(tree: dict[str, Any], origin: str, *, strict: bool) -> Config:
    try:
        return msgspec.convert(tree, Config, strict=strict)
    except msgspec.ValidationError as exc:
        raise UsageError(validation_message(Config, tree, origin, str(exc), strict=strict)) from None
