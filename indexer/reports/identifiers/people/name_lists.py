"""Given names and surnames of many countries, from the lists that Faker ships.

About 30,000 words in 60 languages. They are read when the first report needs them (0.2 s).
"""

import importlib
import pkgutil
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

_SHORTEST = 2


@cache
def given_names() -> frozenset[str]:
    """Return given names, without case, also without accents."""
    return frozenset(_names("first_name"))


@cache
def surnames() -> frozenset[str]:
    """Return surnames, without case, also without accents."""
    return frozenset(_names("last_name"))


def _names(part: str) -> Iterator[str]:
    for provider in _providers():
        for attribute in dir(provider):
            if part not in attribute:
                continue
            values = getattr(provider, attribute)
            if not isinstance(values, list | tuple | dict):
                continue
            for value in values:
                for word in str(value).split():
                    yield from _spellings(word)


def _spellings(word: str) -> Iterator[str]:
    key = word.strip(".,'").replace("’", "'").casefold()
    if len(key) >= _SHORTEST:
        yield key
        plain = "".join(
            one for one in unicodedata.normalize("NFKD", key) if not unicodedata.combining(one)
        )
        if plain != key:
            yield plain


@cache
def _providers() -> tuple[Any, ...]:
    package = importlib.import_module("faker.providers.person")
    return tuple(
        importlib.import_module(f"{package.__name__}.{module.name}").Provider
        for module in pkgutil.iter_modules(package.__path__)
    )
