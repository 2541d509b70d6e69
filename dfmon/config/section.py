"""The base of all sections of the configuration."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings under one heading: unknown keys are errors."""
