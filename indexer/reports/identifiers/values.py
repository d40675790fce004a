"""Replace values behind labels of fields: "IPP : 8001234567", "Adresse: ...", "Typed: mk"."""

import re
from collections import Counter

from indexer.reports.identifiers.dates import DATE
from indexer.reports.identifiers.fields import explicit, label_before
from indexer.reports.identifiers.people.cues import RELATIVES
from indexer.reports.identifiers.people.letters import LETTERS, UPPER, Capital
from indexer.reports.identifiers.people.lexicon import Kind, kind_of

_SEPARATOR = re.compile(r"[ \t\u3000]{0,4}(?:[:=：#]{1,2}|(?<= )[-–—](?= )|\t|\|)[ \t\u3000]{0,4}")
_NUMBER = re.compile(
    r"#?(?:[A-Z]{1,4} (?=\d{3}))?(?=[^\s,;|()]{0,14}\d)\w[\w./-]{0,30}(?:[ -]"
    r"(?=[\w/-]{0,6}\d)[A-Z\d][A-Z\d/-]{0,11}(?!\w)){0,6}"
    r"(?:(?<!\.) [A-Z]{1,2}(?![\w]))?(?<=\w)(?! ?(?:mm|cm|ml|mg|kVp?|%)\b)"
)
_TELEPHONE = re.compile(r"[+(]?\d(?:[ ()/.-]{0,2}\d){2,14}(?:,? ?(?:x|ext\.?) ?\d{1,6})?")
_BIRTH = re.compile(
    rf"(?:{DATE}|\d{{8}}|\d{{6}}|\d{{1,2}}[ /.-]{{1,2}}\d{{1,2}}[ /.-]{{1,2}}\d{{2,4}}|(?:19"
    rf"|20)\d\d)(?!\d)",
    re.IGNORECASE,
)
_PLACE = re.compile(r"[^\n,;|(\[]{2,60}?(?=\s*(?:[\n,;|(\[]|\.(?:\s|$)|  | [-–—] |$))")
_ADDRESS = re.compile(
    r"[^\n;|\[]{2,110}?(?=\s*(?:[\n;|\[]"
    r"|(?<!\bJl)(?<!\bul)(?<!\bул)(?<!\bг)(?<!\bд)(?<!\bкв)(?<!\bAv)(?<!\bNo)(?<!\bal)(?<!\bSt)"
    r"\.(?=\s|$)(?!\s+(?!(?i:tel|тел|tél|ph|fax|mob))(?:[\d№#]"
    r"|[^\W\d_][a-zа-я]{0,3}\.|[^\W\d_]+(?:[,;\d]|\s*$| \d)))|  | [-–—] |$))"
)
_LOWER_NAME = re.compile(
    rf"[{LETTERS}'-]{{2,20}}(?:,? [{LETTERS}'-]{{1,20}}\.?){{0,3}}(?=\s*(?:[\n,;.|(]|  |$"
    rf"|[^\s:]{{2,12}}:))"
)
_INITIALS = re.compile(
    rf"(?:[{LETTERS}]{{2,4}}(?:/[{LETTERS}]{{2,4}})?|(?:[{UPPER}]\.){{2,4}})(?=[\s.,;/)|]|$)"
)
_TYPED = re.compile(
    rf"(?P<keep>\b(?i:geschrieben|diktiert|schreibkraft|typed|transcribed|dictated"
    rf"|transcriptionist|typist|tr|dict)"
    rf"(?i: by| von)?[ ]{{1,2}})(?P<initials>[{LETTERS}]{{2,3}})(?=[.,;/)\n]|$|[ ]\[| on| at| /)"
)
_LOWER_PERSON = re.compile(
    r"(?P<keep>\b(?P<title>[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Nn]urse|[Pp]t|[Pp]atient|[Dd]/[Ww]"
    r"|(?:step|grand|god)?(?:mother"
    r"|father|son|daughter)|mum|mom|dad|wife|husband|sister|brother|niece|nephew|aunt|uncle"
    r"|partner|carer)\.? )"
    r"(?P<first>(?!(?:dr|mr|mrs|ms|prof|nurse|pt"
    r"|patient|van|von|vom|de|der|den|del|della|di|da|do|dos|das|du|des|la|le|los|ter|ten|bin|ibn"
    r"|ben"
    r"|bint|abu|al|el)\b)[a-zà-ÿ][a-zà-ÿ'-]{1,20})(?P<last> [a-zà-ÿ][a-zà-ÿ'-]{1,20})?(?![\w'-])"
)
_BY_LABELS = re.compile(
    r"(?:dictat|transcri|typ|tech|radiographer|operator|geschrieb|schreib|diktat|diktiert|report"
    r"|sign|read"
    r"|verif|author|perform|entered|\bby$|\bvon$|\bpar$|\bpor$|\bda$|\bdoor$|\baf$|\bav$|erstellt"
    r"|checked|mtr|laborant|sekr|secr|dict|approv|review|edit|initial"
    r"|gez|vid)"
)
_STATES = frozenset(
    "none unknown absent nil no not the see as per same self supine upright erect male female yes"
    " ap pa "
    "n/a na tbd ct mr us lat er ed icu gp dr dra drs prof mrs ms lek md oa herr frau hr mme".split()
)


_AFTER_RELATIVE = re.compile(
    r"[.,;)]|$|\n| (?:at|says|states|reports|said|stated|is|was|present|called|came|here|who"
    r"|with)\b"
)


def replace_values(text: str, marks: dict[str, str]) -> tuple[str, Counter[str]]:
    """Return the text with marks for the values of fields, and how many of each kind."""
    counts: Counter[str] = Counter()
    parts: list[str] = []
    done = 0
    for separator in _SEPARATOR.finditer(text):
        start = separator.end()
        if separator.start() < done:
            continue
        label, kinds = label_before(text, separator.start())
        if not label and separator[0].strip() == "#":
            continue
        for kind in (kind for kind in kinds if kind in marks):
            end = _value_end(text, start, kind, label)
            if end > start:
                parts += [text[done:start], marks[kind]]
                counts[kind] += 1
                done = end
                break
    if parts:
        text = "".join([*parts, text[done:]])

    def typed(match: re.Match[str]) -> str:
        word = match["initials"]
        if word.casefold() in _STATES or kind_of(Capital(word, 0, 0)) is Kind.WORD:
            return match[0]
        counts["name"] += 1
        return f"{match['keep']}{marks['name']}"

    def person(match: re.Match[str]) -> str:
        kinds = [
            _lower_kind(match[group]) for group in ("first", "last") if match[group] is not None
        ]
        sure = match["title"].casefold() in ("dr", "mrs", "prof")
        if sure and kinds[0] not in (Kind.WORD, Kind.INITIAL):
            last = match["last"] or ""
            keep = last if len(kinds) > 1 and kinds[1] not in _LISTED else ""
        elif match["title"] in RELATIVES:
            if kinds[0] is not Kind.GIVEN or not _AFTER_RELATIVE.match(text, match.end("first")):
                return match[0]
            keep = match["last"] or ""
        elif len(kinds) > 1 and kinds[0] is Kind.GIVEN and kinds[1] in (*_LISTED, Kind.EPONYM):
            keep = ""
        else:
            return match[0]
        counts["name"] += 1
        return f"{match['keep']}{marks['name']}{keep}"

    text = _TYPED.sub(typed, text)
    return _LOWER_PERSON.sub(person, text), counts


_LISTED = (Kind.GIVEN, Kind.SURNAME)


def _lower_kind(word: str) -> Kind:
    return kind_of(Capital(word.strip(" "), 0, 0))


def _value_end(text: str, start: int, kind: str, label: str) -> int:
    """Return where the value of a field ends; its start if there is none of this kind."""
    if text.startswith("[**", start):
        return start
    if kind == "number":
        match = _NUMBER.match(text, start)
        if match is None or len(re.sub(r"\W", "", match[0])) < (3 if len(label) > 2 else 5):
            return start
        return match.end()
    if kind == "telephone":
        match = _TELEPHONE.match(text, start)
        return match.end() if match else start
    if kind == "date of birth":
        match = _BIRTH.match(text, start)
        return match.end() if match else start
    if kind == "name":
        return _name_end(text, start, label)
    match = (_PLACE if kind == "place" else _ADDRESS).match(text, start)
    if match is None:
        return start
    value = _cut(text, start, match.end())
    return start + len(value) if _tells(value) else start


def _cut(text: str, start: int, end: int) -> str:
    """Cut a value before the label of the next field."""
    separator = _SEPARATOR.search(text, start, min(len(text), end + 3))
    while separator is not None:
        label, _ = label_before(text, separator.start())
        if label and separator.start() > start:
            words = text[start : separator.start()].rstrip().split(" ")
            return " ".join(words[: -len(label.split())]).rstrip(" ,.")
        separator = _SEPARATOR.search(text, separator.end(), min(len(text), end + 3))
    return text[start:end]


def _tells(value: str) -> bool:
    """Return whether a place has a number or a word that is not of a report."""
    if re.search(r"\d", value):
        return not re.fullmatch(r"[\d.,\s]*(?:mm|cm|%)?", value) or value.strip().isdigit()
    return any(
        kind_of(Capital(word, 0, 0)) is not Kind.WORD
        for word in re.findall(rf"(?<![{LETTERS}])[{UPPER}][{LETTERS}'’-]+", value)
    )


def _name_end(text: str, start: int, label: str) -> int:
    """Return the end of a name in small letters, or of initials ("Typed by: mk")."""
    if _BY_LABELS.search(label):
        match = _INITIALS.match(text, start)
        if match is not None and match[0].casefold() not in _STATES:
            words = re.findall(rf"[{LETTERS}]+", match[0])
            if match[0].isupper() or kind_of(Capital(words[0], 0, 0)) is not Kind.WORD:
                return match.end()
    if label in explicit():
        match = _LOWER_NAME.match(text, start)
        if match is not None and match[0][0].islower():
            words = re.findall(rf"[{LETTERS}'-]{{2,}}", match[0])
            if not any(
                word in _STATES or kind_of(Capital(word, 0, 0)) is Kind.WORD for word in words
            ):
                return match.end()
    return start
