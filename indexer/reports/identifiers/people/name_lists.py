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
_PLAIN = str.maketrans({"ı": "i", "ł": "l", "đ": "d", "ø": "o", "ð": "d", "æ": "ae"})
"""Letters that do not decompose."""


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
        plain = without_accents(key)
        if plain != key:
            yield plain


def without_accents(key: str) -> str:
    """Return a name as lists in plain letters have it ("gülşen" is "gulsen", "łukasz" "lukasz")."""
    if key.isascii():
        return key
    decomposed = unicodedata.normalize("NFKD", key.translate(_PLAIN))
    return "".join(one for one in decomposed if not unicodedata.combining(one))


@cache
def _providers() -> tuple[Any, ...]:
    package = importlib.import_module("faker.providers.person")
    return tuple(
        importlib.import_module(f"{package.__name__}.{module.name}").Provider
        for module in pkgutil.iter_modules(package.__path__)
    )
