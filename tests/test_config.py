"""Configuration: precedence, and one sentence for everything that is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from dfmon import config
from dfmon.config.sections import section_types
from dfmon.core.step import FlowParams
from dfmon.model.errors import UsageError
from dfmon.runtime.composition import venue_endpoints
from dfmon.sim.market.board_specs import check_currencies

ROOT = Path(__file__).parent.parent


def _file(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_no_environment_no_flags_gives_the_defaults() -> None:
    assert config.load(None, {"HOME": "/nowhere"}, {}) == config.Config()


def test_the_shipped_file_names_every_key_with_its_default() -> None:
    shipped_config = tomllib.loads((ROOT / "config.toml").read_text())
    expected = msgspec.to_builtins(config.Config())
    assert expected.pop("alert") == ()
    for section in expected.values():
        section |= {name: list(value) for name, value in section.items() if isinstance(value, tuple)}
    assert shipped_config == expected


def test_flags_override_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    path = _file(tmp_path, '[screen]\nrate_hz = 0.5\npalette = "mono"\nicons = "ascii"')
    environ = {"DFMON_SCREEN_PALETTE": "green-red", "DFMON_SCREEN_ICONS": "braille"}
    loaded = config.load(path, environ, {"screen.icons": "unicode"}).screen
    assert (loaded.rate_hz, loaded.palette, loaded.icons) == (0.5, "green-red", "unicode")


def test_a_list_may_be_given_with_commas() -> None:
    loaded = config.load(None, {"HOME": "/nowhere"}, {"market.currencies": "SOL, BTC"})
    assert loaded.market.currencies == ("SOL", "BTC")


def test_the_file_in_the_xdg_folder_is_read_without_being_named(tmp_path: Path) -> None:
    (tmp_path / "dfmon").mkdir()
    _file(tmp_path / "dfmon", "[market]\ntick_s = 2.0")
    assert config.load(None, {"XDG_CONFIG_HOME": str(tmp_path)}, {}).market.tick_s == 2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[screen]\nrate_hz = 'fast'", "screen.rate_hz is 'fast', allowed: a number from 0.1 to 4"),
        ("[screen]\nrate_hz = 9", "screen.rate_hz is 9, allowed: a number from 0.1 to 4"),
        ("[screen]\nratehz = 1", "unknown key screen.ratehz; did you mean rate_hz?"),
        ("[scren]\n", "unknown key scren; did you mean screen?"),
        ("zzz = 1", "unknown key zzz; known: market, freshness, model, scenario"),
        ("market = 3", "market is 3, allowed: a table [market]"),
        ("[market]\ncurrencies = ['btc']", "market.currencies is 'btc', allowed: coin names in upper case"),
        ("[market]\ncurrencies = []", "market.currencies is"),
        ("[market]\npositions = 'guess'", "allowed: flow, naive, short-all or file:PATH"),
        ("[deribit]\nwebsocket = 'deribit.com'", "deribit.websocket is 'deribit.com', allowed: a URL with its scheme"),
        ("[market", "not TOML"),
    ],
)
def test_a_wrong_file_is_one_sentence_with_file_key_value_and_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(UsageError) as raised:
        config.load(path, {}, {})
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_named_file_that_is_missing_is_an_error_and_an_unnamed_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such configuration file"):
        config.load(tmp_path / "none.toml", {}, {})


def test_bytes_that_are_not_text_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"[market]\ncurrencies = ['\xff']")
    with pytest.raises(UsageError, match=r"is not text: line 2, byte 24 \(0xFF\) is not UTF-8"):
        config.load(path, {}, {})


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5_000, "# " + "x" * 2_000_000])
def test_text_that_the_parser_cannot_take_is_a_sentence(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not TOML|is larger than"):
        config.load(_file(tmp_path, text), {}, {})


def test_devices_and_folders_are_a_sentence(tmp_path: Path) -> None:
    for path, found in ((Path("/dev/zero"), "not a regular file"), (tmp_path, "a directory")):
        with pytest.raises(UsageError, match=f"is {found}: a configuration file is expected"):
            config.load(path, {}, {})
    folder = tmp_path / "dfmon"
    folder.mkdir()
    (folder / "config.toml").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="is not a regular file"):
        config.load(None, {"XDG_CONFIG_HOME": str(tmp_path)}, {})


@pytest.mark.parametrize(
    "text", ["inf", "nan", "-inf", "1e999", "99999999999999999999999", "[[[[1]]]]", "{a={b=1}}", "1979-05-27"]
)
def test_numbers_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    for key in (
        "screen.tape_min",
        "market.tick_s",
        "history.keep_days",
        "model.lean",
        "publish.every_s",
        "publish.rest",
    ):
        section, name = key.split(".")
        with pytest.raises(UsageError):
            config.load(_file(tmp_path, f"[{section}]\n{name} = {text}"), {}, {})


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(UsageError, match=r"environment variable DFMON_SCREEN_RATE_HZ: screen\.rate_hz is 'abc'"):
        config.load(None, {"DFMON_SCREEN_RATE_HZ": "abc", "HOME": "/nowhere"}, {})


def test_a_password_is_never_printed() -> None:
    with pytest.raises(UsageError) as raised:
        config.load(None, {"HOME": "/nowhere"}, {"publish.redis": "http://:hunter2@host"})
    assert "hunter2" not in str(raised.value)


def test_every_key_says_what_it_allows() -> None:
    sections: dict[str, type[msgspec.Struct]] = {**section_types(), "alert": config.AlertSection}
    for name, section in sections.items():
        for key in msgspec.structs.fields(section):
            assert key.type.__metadata__[0].description, f"{name}.{key.name}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "screen = [0.7, 0.1, 0.1, 0.2]",
            "model.screen is [0.7, 0.1, 0.1, 0.2], allowed: four shares",
        ),
        ("combo = [1.2, -0.2, 0.0, 0.0]", "model.combo is"),
        ("desks = ['0.5:1:0', '0.2:1:0']", "model.desks is ['0.5:1:0', '0.2:1:0'], allowed: SHARE:RATIO:COST"),
        ("desks = ['1..0:1:0']", "model.desks is"),
        ("desks = ['1:9:0']", "model.desks is"),
    ],
)
def test_shares_that_do_not_add_up_are_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    loaded = config.load(_file(tmp_path, f"[model]\n{text}"), {}, {})
    with pytest.raises(UsageError) as raised:
        config.flow_params(loaded)
    assert message in str(raised.value)


def test_thresholds_must_ascend(tmp_path: Path) -> None:
    loaded = config.load(_file(tmp_path, "[scenario]\ngamma_mid = 0.2"), {}, {})
    with pytest.raises(UsageError, match=r"scenario.gamma_lo, gamma_mid, gamma_hi are \[0.01, 0.2, 0.06\], allowed"):
        config.flow_params(loaded)


def test_every_parameter_can_be_set_but_what_the_session_decides() -> None:
    text = {
        "market.positions": "naive", "market.numeraire": "coin", "market.stickiness": "moneyness",
        "market.warm_coverage": 0.7, "freshness.spot_s": 12.0, "scenario.gamma_lo": 0.02,
        "scenario.liquidations_hi": 0.03, "scenario.iv_move_1h": 0.75, "model.lean": 2.0, "model.venue_share": 0.4,
        "model.desks": "0.5:1:0,0.5:0:0", "model.risk_aversion": 1e-5, "model.impact_law": "sqrt",
    }  # fmt: skip
    params = config.flow_params(config.load(None, {"HOME": "/nowhere"}, text))
    unchanged = {name for name in params.__struct_fields__ if getattr(params, name) == getattr(FlowParams(), name)}
    assert unchanged == {"file_positions", "compiled"}
    assert msgspec.json.decode(msgspec.json.encode(params), type=FlowParams) == params


@pytest.mark.parametrize("text", ["screen = [0.5, 0.5]", "venue_share = 0", "desks = ['a lot']", "lean = 'very'"])
def test_a_model_that_cannot_be_is_refused_when_it_is_read(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=f"model.{text.split()[0]}"):
        config.load(_file(tmp_path, f"[model]\n{text}"), {}, {})


def test_the_model_section_is_what_the_numbers_rest_on(tmp_path: Path) -> None:
    text = "[model]\nscreen = [1.0, 0.0, 0.0, 0.0]\nvenue_share = 0.4\ndesks = ['0.5:1:0', '0.5:0.8:0.0005']"
    params = config.flow_params(config.load(_file(tmp_path, text), {"DFMON_MODEL_DRIFT": "0.02"}, {}))
    assert params.priors.screen == (1.0, 0.0, 0.0, 0.0)
    assert (params.priors.drift, params.venue_share) == (0.02, 0.4)
    assert [(desk.share, desk.ratio, desk.cost) for desk in params.desks] == [(0.5, 1.0, 0.0), (0.5, 0.8, 0.0005)]
    assert config.flow_params(config.Config()) == FlowParams()


def test_earlier_names_of_the_model_are_taken_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shares = [0.6, 0.2, 0.1, 0.1]
    text = f"[model]\ntaker_liquidated = {shares}\ncertainty = 38.0\nsceptics = 0.05\nsceptic = {shares}\ndirection = 1"
    loaded = config.load(_file(tmp_path, text), {}, {})
    assert loaded.model == msgspec.structs.replace(config.Config().model, liquidation_taker=tuple(shares))
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "[model] taker_liquidated is liquidation_taker now; certainty, sceptics, sceptic, direction: no longer used"
    )
    caplog.clear()
    config.load(_file(tmp_path, "[model]\nlean = 0.5"), {}, {})
    assert not caplog.records


def test_a_present_name_wins_over_an_earlier_one(tmp_path: Path) -> None:
    text = "[model]\nliquidation_both = [0, 0, 1, 0]\nboth_liquidated = [1, 0, 0, 0]"
    assert config.load(_file(tmp_path, text), {}, {}).model.liquidation_both == (0.0, 0.0, 1.0, 0.0)


def test_a_coin_without_options_is_refused_with_those_that_are_allowed() -> None:
    unknown = msgspec.convert({"market": {"currencies": ["BTC", "DOGEX"]}}, config.Config)
    with pytest.raises(UsageError, match=r"^DOGEX: no options known, allowed: BTC, ETH, .*; deribit\.coins can name"):
        venue_endpoints(unknown)
    named = msgspec.convert(
        {"market": {"currencies": ["BTC", "DOGEX"]}, "deribit": {"coins": ["BTC", "DOGEX"]}}, config.Config
    )
    assert venue_endpoints(named)
    with pytest.raises(ValueError, match=r"^currencies: found DOGEX, allowed: BTC, ETH, SOL, XRP$"):
        check_currencies(("BTC", "DOGEX"))
