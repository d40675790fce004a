"""Settings of a run from ``name=value`` texts of a command line."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from db.errors import UserError

Config = TypeVar("Config")


def read_settings(config: type[Config], settings: Sequence[str]) -> Config:
    """A dataclass of plain numbers, texts and switches; what is not named keeps its default.

    Raises UserError for an unknown name or a value of another type.
    """
    types: dict[str, Any] = {field.name: field.type for field in fields(config)}  # type: ignore[arg-type]
    values: dict[str, bool | int | float | str] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in types:
            raise UserError(f"no setting is called '{name}': use {', '.join(sorted(types))}")
        try:
            if types[name] is bool:
                values[name] = {"true": True, "false": False}[text.lower()]
            else:
                values[name] = types[name](text)
        except (ValueError, KeyError) as error:
            raise UserError(f"{name} cannot be '{text}'") from error
    return config(**values)
