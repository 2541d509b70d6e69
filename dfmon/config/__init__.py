"""Configuration: config.toml, the environment, `.env` and the flags as one frozen `Config`."""

from __future__ import annotations

from dfmon.config.alert_section import AlertSection, alert_rules
from dfmon.config.loading import (
    ConfigSource,
    default_path,
    environment,
    flow_params,
    load,
    options_settings,
    origins,
    state_folder,
)
from dfmon.config.sections import (
    Config,
    FreshnessSection,
    HistorySection,
    MarketSection,
    ModelSection,
    PublishSection,
    RecordSection,
    ScenarioSection,
    ScreenSection,
)

__all__ = [
    "AlertSection",
    "Config",
    "ConfigSource",
    "FreshnessSection",
    "HistorySection",
    "MarketSection",
    "ModelSection",
    "PublishSection",
    "RecordSection",
    "ScenarioSection",
    "ScreenSection",
    "alert_rules",
    "default_path",
    "environment",
    "flow_params",
    "load",
    "options_settings",
    "origins",
    "state_folder",
]
