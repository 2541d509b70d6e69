"""The settings by section, as config.toml has them, with what is allowed for each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from dfmon.config.alert_section import AlertSection
from dfmon.config.section import Section
from dfmon.core.freshness import FreshnessLimits
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.scenario.thresholds import Thresholds
from dfmon.venues.registry import VENUES
from dfmon.venues.spec import VenueSettings

PositionModel = Annotated[
    str, Meta(pattern=r"^(flow|naive|short-all|file:.+)$", description="flow, naive, short-all or file:PATH")
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,10}$", description="upper-case coin names such as BTC")]
Share = Annotated[float, Meta(ge=0.0, le=1.0, description="a number from 0 to 1")]


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


CLASS_SHARES_HELP = "four shares that add up to 1"
ClassShares = Annotated[tuple[float, float, float, float], Meta(description=CLASS_SHARES_HELP)]
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
    mouse: Annotated[bool, Meta(description="true or false")] = True
    tape_min: Annotated[float, Meta(ge=0.0, le=1e9, description="coins from 0 to 1e9")] = 0.0


HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:-]+$", description="a host name without port")]
Origin = Annotated[str, Meta(pattern=r"^(\*|https?://[^\s/]+)$", description="scheme://host[:port], or *")]
_REST_ADDRESS = r"^$|^([^\s:]*|\[[0-9A-Fa-f:.%]+\]):\d+$"


class PublishSection(Section, frozen=True):
    """Outputs of snapshots. An empty address is none."""

    redis: Annotated[
        str,
        Meta(
            pattern=r"^$|^(rediss?(\+sentinel|\+cluster)?|unix)://",
            description="redis://, rediss://, redis+sentinel://, redis+cluster://, unix:// or nothing",
        ),
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
    """All settings. Immutable; built once and passed down as small values. Each venue adds a section of its name.

    `keys` has the changed keys of the screen by action: the screen knows its actions, and checks them.
    """

    market: MarketSection = MarketSection()
    freshness: FreshnessSection = FreshnessSection()
    model: ModelSection = ModelSection()
    scenario: ScenarioSection = ScenarioSection()
    screen: ScreenSection = ScreenSection()
    publish: PublishSection = PublishSection()
    history: HistorySection = HistorySection()
    record: RecordSection = RecordSection()
    keys: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    alert: tuple[AlertSection, ...] = ()

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


def section_types() -> dict[str, type[Section]]:
    """The sections with fixed keys, by name."""
    return {field.name: field.type for field in msgspec.structs.fields(Config) if field.name not in ("keys", "alert")}
