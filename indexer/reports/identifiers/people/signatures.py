"""Names known by their place: a line that signs, a bracket with a date, the head of a report.

N Mthembu-Khoza, MMed           a name and a degree, a role or a number on a line of their own
Shielded. - K. Vandermolen      behind a dash or a stroke at the end of a line
Addendum (McIlwraith, [**date**])
GREEN, HAZEL AP CHEST           SURNAME, GIVEN at the start, even of words of reports
"""

import re
from collections.abc import Iterator

from indexer.reports.identifiers.people.cues import ROLES, TITLES
from indexer.reports.identifiers.people.letters import LETTERS, LOWER, PARTICLES, UPPER, Capital
from indexer.reports.identifiers.people.lexicon import BESIDE, STOP, Kind, kind_of

_PARTICLE = "|".join(sorted((re.escape(one) for one in PARTICLES), key=len, reverse=True))
_WORD = rf"(?:[dDlLO]['’])?[{UPPER}](?:[{LETTERS}]{{1,24}}(?:['’-][{LETTERS}]{{1,20}}){{0,3}})"
_INITIAL = rf"[{UPPER}](?![{LETTERS}])\.?(?:-[{UPPER}]\.)?"
_NAME = rf"(?:(?:{_INITIAL}|{_WORD}|{_PARTICLE})[ ]?(?<=[ .])){{0,4}}{_WORD}(?![{LETTERS}'’-])"
_CREDENTIAL = r"[MBFDLPRCS][A-Za-z.]{0,5}[A-Z][A-Za-z.]{0,6}(?![A-Za-z])"
_SIGNATURE = re.compile(
    rf"(?:^|(?<=[.!?)\]*])(?P<behind>[ ]{{1,3}}(?=[-–—/~])))[ \t]{{0,8}}"
    rf"(?P<lead>[-–—/~]{{1,2}}[ ]?)?"
    rf"(?P<name>{_NAME})"
    rf"(?P<tail>[ ]?[,(–—-]{{0,2}}[ ]?(?:\[\*\*(?:number|date)|(?P<degree>{_CREDENTIAL})"
    rf"|(?P<label>[A-Z]{{2,6}}[ .:/-]{{1,2}}(?:[A-Z]{{2}}[ .:/-]{{1,2}})?\[\*\*number)"
    rf"|(?P<role>[{LETTERS}-]{{4,24}})(?![{LETTERS}]))[^\n]{{0,50}})?[ \t.]{{0,3}}$",
    re.MULTILINE,
)
_ROLE = re.compile(r"radiolog|röntgen|рентген|consult|regist|surgeon|physician|attending|fellow")
_IN_BRACKETS = re.compile(rf"\((?P<name>{_NAME})(?=[,;]? \[\*\*date\*\*\][^\n()]{{0,12}}\))")
_INITIALS = re.compile(
    r"(?<=\[\*\*date\*\*\])[ /,:-]{1,3}(?!EST|PST|CST|MST|GMT|UTC|CET|BST"
    r"|hrs)(?P<initials>[a-z]{2,3}|[A-Z]{2,3})"
    r"(?=[.)]?[ \t]{0,3}$)"
    r"|(?<=\*\*\] by )(?P<user>[a-z]{5,20}\d{0,4})(?=\.?[ \t]{0,3}$)",
    re.MULTILINE,
)
"""Initials behind a date at the end of a line."""
_HEADER = re.compile(
    rf"\A\s{{0,8}}(?P<name>(?P<last>{_WORD}(?:[ -]{_WORD}){{0,2}}),[ ]?(?P<first>{_WORD})"
    rf"(?:[ ]{_WORD}(?=[ ]?[(\[\d])|[ ][{UPPER}]\.?(?![{LETTERS}]))?)(?P<after>[^\n]{{0,20}})"
)
_AGED = re.compile(rf"\A\s{{0,8}}(?P<name>{_NAME})(?=,? \(?\d{{1,3}}(?:\)|[,;] [{LOWER}]))")
_FIRST = re.compile(rf"\A\s{{0,8}}(?P<name>{_WORD})(?=[ ,/(]{{1,3}}\[\*\*(?:number|date of))")
_STUDY = re.compile(
    r"[ ;:-]{1,3}(?:AP|PA|CHEST|CXR|XR|X-RAY|PORTABLE|MOBILE|[MF]\b)", re.IGNORECASE
)
_NUMBER = re.compile(r"[ ,;/]{0,2}(?:\[\*\*(?:numb|date of)|[(#]?[A-Z]{0,3}[ -]?\d[\d-]{3})")


def names_by_place(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of names that lines, brackets and the head of a report have."""
    last = len(text.rstrip())
    for match in _SIGNATURE.finditer(text):
        if _signs(match, match.end() >= last and "\n" in text[:last]):
            yield match.span("name")
    if "[**date" in text:
        for match in _IN_BRACKETS.finditer(text):
            if _all_names(match["name"]):
                yield match.span("name")
        for match in _INITIALS.finditer(text):
            group = "initials" if match["initials"] else "user"
            if _kind(match[group]) is not Kind.WORD:
                yield match.span(group)
    header = _HEADER.match(text)
    if header is not None and _heads(header):
        yield header.span("name")
    aged = _AGED.match(text)
    single = _FIRST.match(text)
    if single is not None and _kind(single["name"]) in (Kind.GIVEN, Kind.SURNAME):
        yield single.span("name")
    if aged is not None and " " in aged["name"] and _all_names(aged["name"]):
        yield aged.span("name")


def _signs(match: re.Match[str], is_last: bool) -> bool:
    name, lead = match["name"], match["lead"] is not None
    if not _all_names(name) or (match["behind"] is not None and not lead):
        return False
    if name.isupper() and not match["tail"]:
        return False
    full = " " in name or "." in name
    role = match["role"]
    if role is not None and not (role.casefold() in ROLES or _ROLE.match(role.casefold())):
        return False
    if match["tail"] is not None:
        return full and (role is not None or match["degree"] is None or not name.isupper())
    known = any(_kind(word) in (Kind.GIVEN, Kind.SURNAME) for word in _words(name))
    return full and (is_last or lead) and (known or name[1:2] in (".", " "))


def _heads(match: re.Match[str]) -> bool:
    """Return whether a report begins with SURNAME, GIVEN."""
    words = [*_words(match["last"]), *_words(match["first"])]
    if any(word.casefold() in STOP or word.casefold() in BESIDE for word in words):
        return False
    if _NUMBER.match(match["after"]) and _all_names(match["name"]):
        return True
    listed = [_kind(word, words=False) in (Kind.GIVEN, Kind.SURNAME) for word in words]
    return (
        _STUDY.match(match["after"]) is not None
        and _kind(match["first"], words=False) is Kind.GIVEN
        and all(listed)
    ) or (_STUDY.match(match["after"]) is not None and any(listed) and _all_names(match["name"]))


def _words(name: str) -> list[str]:
    return re.findall(rf"[{UPPER}][{LETTERS}'’-]+", name)


def _kind(word: str, *, words: bool = True) -> Kind:
    return kind_of(Capital(word, 0, 0), words=words)


def _all_names(name: str) -> bool:
    """Return whether no word of a name is a word of reports or an eponym."""
    words = _words(name)
    kinds = [_kind(word) for word in words]
    if any(word.casefold() in TITLES for word in words):
        return False
    return bool(kinds) and Kind.WORD not in kinds and Kind.EPONYM not in kinds
