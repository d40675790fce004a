"""Settings of a run from ``name=value`` texts of a command line."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from db.errors import UserError

Config = TypeVar("Config")


def read_settings(config: type[Config], settings: Sequence[str]) -> Config:
    """A dataclass of plain numbers, texts and switches; what is not named keeps its default.

    A name given twice has its last value; a switch that may be None is ``true``, ``false`` or
    ``auto``. Raises UserError for an unknown name, a value of another type, NaN or infinity.
    """
    types: dict[str, Any] = {field.name: field.type for field in fields(config)}  # type: ignore[arg-type]
    values: dict[str, bool | int | float | str | None] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in types:
            raise UserError(f"no setting is called '{name}': use {', '.join(sorted(types))}")
        try:
            if types[name] is bool:
                values[name] = {"true": True, "false": False}[text.lower()]
            elif types[name] == bool | None:
                values[name] = {"true": True, "false": False, "auto": None}[text.lower()]
            else:
                values[name] = types[name](text)
        except (ValueError, KeyError) as error:
            raise UserError(f"{name} cannot be '{text}'") from error
    return config(**values)


def check_finite(config: Any) -> None:
    """Raises UserError where a number of a dataclass, or in a tuple of it, is NaN or infinite."""
    for field in fields(config):
        value = getattr(config, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise UserError(f"{field.name} cannot be {number}: use a finite number")
