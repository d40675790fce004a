"""Names and numbers in HL7 segments and in the form of DICOM (``DOE^JANE``)."""

import re

from indexer.reports.identifiers.people.letters import LETTERS

_SEGMENT = re.compile(
    r"(?m)^(?P<keep>[ \t]*(?:PID|PD1|NK1|PV1|PV2|IN1|IN2|GT1|MRG|MSH|EVN|ORC|ROL|AL1|ACC|ZPI)"
    r"(?=[|]))[|][^\n\r]*"
)
_REQUEST = re.compile(r"(?m)^[ \t]*OB[RX][|][^\n\r]*")
_TEXT_FIELD = {"OBR": (1, 4), "OBX": (1, 2, 3, 4, 5, 6, 7, 8, 11)}
_PERSON = re.compile(
    rf"(?<![\w^|])(?:[\w.-]{{1,20}}\^)?[{LETTERS}][{LETTERS}'’ .-]{{0,40}}\^"
    rf"{{1,2}}[{LETTERS}][{LETTERS}'’.-]{{0,30}}(?:[ ^]{{0,4}}\^[{LETTERS}'’.,]{{0,30}}){{0,5}}\^*"
)


def replace_messages(text: str, mark: str) -> tuple[str, int]:
    """Return the text with marks in HL7 segments about persons and for names with carets."""
    count = 0

    def whole(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"{match['keep']}|{mark}"

    def fields(match: re.Match[str]) -> str:
        nonlocal count
        parts = match[0].split("|")
        keep = _TEXT_FIELD[parts[0].strip()]
        for place in range(1, len(parts)):
            if place not in keep and any(letter.isalnum() for letter in parts[place]):
                parts[place] = mark
                count += 1
        return "|".join(parts)

    if "|" in text:
        text = _SEGMENT.sub(whole, text)
        text = _REQUEST.sub(fields, text)
    if "^" in text:
        text, names = _PERSON.subn(mark, text)
        count += names
    return text, count
