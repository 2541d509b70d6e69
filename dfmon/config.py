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
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from dfmon.core.exposure.desks import Desk
from dfmon.core.freshness import FreshnessLimits
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.scenario.thresholds import Thresholds
from dfmon.core.step import FlowParams
from dfmon.environment import PREFIX, check_variables, expand_home, xdg_folder
from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.setting_errors import validation_message, with_present_names
from dfmon.store.file_content import read_text
from dfmon.store.positions_file import read_positions
from dfmon.venues.registry import VENUES
from dfmon.venues.spec import OptionsSettings, VenueSettings

PositionModel = Annotated[
    str, Meta(pattern=r"^(flow|naive|short-all|file:.+)$", description="flow, naive, short-all or file:PATH")
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,10}$", description="upper-case coin names such as BTC")]
Share = Annotated[float, Meta(ge=0.0, le=1.0, description="a number from 0 to 1")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all sections: unknown keys are errors."""


class MarketSection(Section, frozen=True):
    """Underlyings, and the model of their numbers."""

    currencies: Annotated[
        tuple[Currency, ...], Meta(min_length=1, description="coin names in upper case, such as BTC")
    ] = ("BTC", "ETH")
    positions: PositionModel = "flow"
    numeraire: Annotated[Literal["usd", "coin"], Meta(description="usd or coin")] = "usd"
    stickiness: Annotated[Literal["strike", "moneyness"], Meta(description="strike or moneyness")] = "strike"
    tick_s: Annotated[float, Meta(ge=0.1, le=60.0, description="seconds from 0.1 to 60")] = 1.0
    warm_coverage: Share = 0.6
    compiled: Annotated[bool, Meta(description="true or false")] = False


_LIMITS = FreshnessLimits()
AgeLimit = Annotated[float, Meta(gt=0.0, le=86_400.0, description="seconds above 0 and up to 86400")]


class FreshnessSection(Section, frozen=True):
    """Ages up to which inputs are fresh."""

    spot_s: AgeLimit = _LIMITS.spot_s
    marks_s: AgeLimit = _LIMITS.marks_s
    forwards_s: AgeLimit = _LIMITS.forwards_s
    open_interest_s: AgeLimit = _LIMITS.open_interest_s
    depth_s: AgeLimit = _LIMITS.depth_s
    volumes_s: AgeLimit = _LIMITS.volumes_s


_CLASS_SHARES_HELP = "four shares that add up to 1"
ClassShares = Annotated[tuple[float, float, float, float], Meta(description=_CLASS_SHARES_HELP)]
DeskText = Annotated[str, Meta(pattern=r"^[\d.]+:[\d.]+:[\d.]+$", description="SHARE:RATIO:COST")]
_PRIORS = PositionPriors()


class ModelSection(Section, frozen=True):
    """Priors of the dealer positions, and how dealers hedge."""

    screen: ClassShares = _PRIORS.screen
    block: ClassShares = _PRIORS.block
    rfq: ClassShares = _PRIORS.rfq
    combo: ClassShares = _PRIORS.combo
    liquidation_taker: ClassShares = _PRIORS.liquidation_taker
    liquidation_maker: ClassShares = _PRIORS.liquidation_maker
    liquidation_both: ClassShares = _PRIORS.liquidation_both
    start_mean: Annotated[float, Meta(ge=-1.0, le=1.0, description="a number from -1 to 1")] = _PRIORS.start_mean
    start_sd: Annotated[float, Meta(ge=0.0, le=2.0, description="a number from 0 to 2")] = _PRIORS.start_sd
    lean: Annotated[float, Meta(ge=0.0, le=3.0, description="a number from 0 to 3")] = _PRIORS.trend_coefficient
    drift: Share = _PRIORS.drift
    venue_share: Annotated[float, Meta(ge=0.01, le=1.0, description="a share from 0.01 to 1")] = 1.0
    desks: Annotated[
        tuple[DeskText, ...],
        Meta(min_length=1, description="SHARE:RATIO:COST of each desk, numbers from 0; shares add up to 1"),
    ] = ("1:1:0",)
    risk_aversion: Annotated[float, Meta(gt=0.0, le=1.0, description="a number above 0 and up to 1")] = 1e-6
    impact_law: Annotated[Literal["linear", "sqrt"], Meta(description="linear or sqrt")] = "linear"


_THRESHOLDS = Thresholds()
PositiveShare = Annotated[float, Meta(gt=0.0, le=1.0, description="a share above 0 and up to 1")]


class ScenarioSection(Section, frozen=True):
    """Thresholds of the scenario rules before the market's own are known."""

    gamma_lo: PositiveShare = _THRESHOLDS.gamma_lo
    gamma_mid: PositiveShare = _THRESHOLDS.gamma_mid
    gamma_hi: PositiveShare = _THRESHOLDS.gamma_hi
    liquidations_hi: PositiveShare = _THRESHOLDS.liquidations_hi
    iv_move_1h: Annotated[float, Meta(gt=0.0, le=50.0, description="points above 0 and up to 50")] = 0.6


class ScreenSection(Section, frozen=True):
    """Appearance and frame rate of the screen."""

    rate_hz: Annotated[float, Meta(ge=0.1, le=4.0, description="a number from 0.1 to 4")] = 1.0
    palette: Annotated[
        Literal["dark", "light", "colour-blind", "green-red", "mono", "blue-orange", "purple-green"],
        Meta(description="dark, light, colour-blind, green-red or mono"),
    ] = "dark"
    icons: Annotated[Literal["braille", "unicode", "ascii"], Meta(description="braille, unicode or ascii")] = "braille"
    mouse: Annotated[bool, Meta(description="true or false")] = False
    tape_min: Annotated[float, Meta(ge=0.0, le=1e9, description="coins from 0 to 1e9")] = 0.0


HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:-]+$", description="a host name without port")]
Origin = Annotated[str, Meta(pattern=r"^(\*|https?://[^\s/]+)$", description="scheme://host[:port], or *")]
_REST_ADDRESS = r"^$|^([^\s:]*|\[[0-9A-Fa-f:.%]+\]):\d+$"


class PublishSection(Section, frozen=True):
    """Outputs of snapshots. An empty address is none."""

    redis: Annotated[
        str, Meta(pattern=r"^$|^(rediss?(\+sentinel|\+cluster)?|unix)://", description="a redis:// URL or nothing")
    ] = ""
    redis_file: Annotated[str, Meta(description="a file path or nothing")] = ""
    redis_user: Annotated[str, Meta(description="a user name or nothing")] = ""
    redis_password: Annotated[str, Meta(description="a password or nothing")] = ""
    redis_password_file: Annotated[str, Meta(description="a file path or nothing")] = ""
    redis_ca_file: Annotated[str, Meta(description="a file path or nothing")] = ""
    redis_cert_file: Annotated[str, Meta(description="a file path or nothing")] = ""
    redis_key_file: Annotated[str, Meta(description="a file path or nothing")] = ""
    spill_folder: Annotated[str, Meta(description="a folder; empty for the state folder")] = ""
    spill_mb: Annotated[int, Meta(ge=1, le=100_000, description="megabytes from 1 to 100000")] = 64
    rest: Annotated[str, Meta(pattern=_REST_ADDRESS, description="HOST:PORT or nothing; [::1]:PORT")] = ""
    rest_token: Annotated[str, Meta(description="a token or nothing")] = ""
    rest_token_file: Annotated[str, Meta(description="a file path or nothing")] = ""
    rest_hosts: Annotated[tuple[HostName, ...], Meta(description="names of this machine, such as desk.example")] = ()
    rest_origins: Annotated[
        tuple[Origin, ...], Meta(description="origins of pages, such as https://desk.example, or *")
    ] = ()
    rest_rate: Annotated[float, Meta(gt=0.0, le=100_000.0, description="requests a second, above 0 and up to 1e5")] = (
        500.0
    )
    prefix: Annotated[str, Meta(pattern=r"^[\w.-]+$", description="letters, digits, dot, dash")] = "dfmon"
    stream_length: Annotated[int, Meta(ge=1, le=1_000_000_000, description="a whole number from 1 to 1e9")] = 100_000
    every_s: Annotated[float, Meta(ge=0.0, le=86_400.0, description="seconds from 0 to 86400")] = 10.0


Retention = Annotated[int, Meta(ge=1, le=3650, description="days from 1 to 3650")]


class HistorySection(Section, frozen=True):
    """The store of one metrics row a tick, of their roll-ups, and of changes and alerts."""

    enabled: Annotated[bool, Meta(description="true or false")] = True
    path: Annotated[str, Meta(description="a file path; empty for the state folder")] = ""
    url: Annotated[
        str,
        Meta(
            pattern=r"^$|^https?://[^\s/@?#]+/[A-Za-z_]\w*$",
            description="http://HOST:PORT/DATABASE without user and password, or nothing",
        ),
    ] = ""
    user: Annotated[str, Meta(description="a user name or nothing")] = ""
    password: Annotated[str, Meta(description="a password or nothing")] = ""
    password_file: Annotated[str, Meta(description="a file path or nothing")] = ""
    cluster: Annotated[str, Meta(pattern=r"^\w*$", description="the name of a cluster or nothing")] = ""
    outbox_mb: Annotated[int, Meta(ge=1, le=1_000_000, description="megabytes from 1 to 1000000")] = 1024
    keep_days: Retention = 35
    keep_minutes_days: Retention = 400
    keep_hours_days: Retention = 3650


class RecordSection(Section, frozen=True):
    """Recording of raw frames."""

    directory: Annotated[str, Meta(description="a folder; empty for none")] = ""
    rotate_mb: Annotated[int, Meta(ge=1, le=4096, description="megabytes from 1 to 4096")] = 256
    keep_mb: Annotated[int, Meta(ge=0, le=100_000_000, description="megabytes, 0 for no limit")] = 0
    keep_days: Annotated[int, Meta(ge=0, le=36_500, description="days, 0 for no limit")] = 0


class _Sections(Section, frozen=True):
    """All settings. Immutable; built once and passed down as small values. Each venue adds a section of its name."""

    market: MarketSection = MarketSection()
    freshness: FreshnessSection = FreshnessSection()
    model: ModelSection = ModelSection()
    scenario: ScenarioSection = ScenarioSection()
    screen: ScreenSection = ScreenSection()
    publish: PublishSection = PublishSection()
    history: HistorySection = HistorySection()
    record: RecordSection = RecordSection()

    def venue(self, name: str) -> VenueSettings:
        settings: VenueSettings = getattr(self, name)
        return settings


if TYPE_CHECKING:
    Config = _Sections
else:
    Config = msgspec.defstruct(
        "Config",
        [(spec.name, type(spec.settings), spec.settings) for spec in VENUES],
        bases=(_Sections,),
        frozen=True,
        forbid_unknown_fields=True,
    )


def load(
    path: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    dotenv: Mapping[str, str] | None = None,
) -> Config:
    """The configuration in force.

    `path` is the file named by --config, or None for the one in the XDG configuration folder, which may be missing.
    `dotenv` has the variables of the file `.env`, which those of `environ` override. `flags` maps "section.key" to
    values given on the command line. Raises UsageError.
    """
    file = default_path(environ) if path is None else expand_home(path, environ)
    tree = with_present_names(_read(file, required=path is not None), str(file))
    config = _convert(tree, str(file), strict=True)
    config = _override(config, _from_environment(dotenv or {}, ".env:"))
    config = _override(config, _from_environment(environ, "environment variable"))
    config = _override(config, {key: (value, "the command line") for key, value in flags.items()})
    return _with_home(config, environ)


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


def origins(path: Path | None, environ: Mapping[str, str], dotenv: Mapping[str, str] | None = None) -> dict[str, str]:
    """File or variable that sets each "section.key" without a default value."""
    file = default_path(environ) if path is None else expand_home(path, environ)
    tree = with_present_names(_read(file, required=path is not None), str(file))
    in_file = {f"{section}.{key}": str(file) for section, keys in tree.items() for key in keys}
    variables = _from_environment(dotenv or {}, ".env:") | _from_environment(environ, "environment variable")
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
        name: getattr(model, "lean" if name == "trend_coefficient" else name) for name in _PRIORS.__struct_fields__
    }
    for name, value in values.items():
        if isinstance(value, tuple) and (min(value) < 0.0 or not math.isclose(sum(value), 1.0, abs_tol=1e-6)):
            raise UsageError(f"model.{name} is {list(value)}, allowed: {_CLASS_SHARES_HELP}")
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


def _read(file: Path, *, required: bool) -> dict[str, Any]:
    if not os.path.lexists(file):
        if required:
            raise UsageError(f"{sanitize(str(file))}: no such configuration file")
        return {}
    text = read_text(file, "a configuration file")
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as exc:
        raise UsageError(f"{sanitize(str(file))}: not TOML: {sanitize(str(exc))}") from None


def _from_environment(environ: Mapping[str, str], origin: str) -> dict[str, tuple[object, str]]:
    """Values by key, with their origin. Raises UsageError for a variable that is none of ours."""
    keys = {
        f"{PREFIX}{section.name}_{key.name}".upper(): f"{section.name}.{key.name}"
        for section in msgspec.structs.fields(Config)
        for key in msgspec.structs.fields(section.type)
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
