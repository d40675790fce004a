"""Conversations about images in the layout of LLaVA (arXiv 2304.08485).

Source: whoever made the file; the images stay where their data set has them. Licence: that of the
data set. Layout: a list or JSON Lines of conversations (``image`` may also be a list):

    {"id": "1", "image": "1.png", "conversations": [
      {"from": "human", "value": "<image>\\nWrite the report of this X-ray."},
      {"from": "gpt", "value": "FINDINGS: ..."}]}

The answers to requests for a report, its findings or its impression are read; a conversation
without one is skipped. Images are looked for beside the file, in the folders around it, and below
``--images-dir``. Splits: ``split`` where an entry has it. Labels: none; the labeller reads the
report. Known noise: answers may be written by a language model, and so may quote what no
radiologist saw.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from db.errors import UserError
from db.files import parse_json
from indexer.sources.json_entries import EntryFile

_YES_NO = re.compile(
    r"\s*(?:is|are|was|were|does|do|did|has|have|can|could|which|where|how many"
    r"|what (?:is|are|type) (?!the (?:findings?|impression)))\b",
    re.IGNORECASE,
)
_SECTION = re.compile(r"\b(findings?|impressions?|conclusions?)\b", re.IGNORECASE)
_REPORT = re.compile(
    r"\breports?\b|\bdescri(?:be|ption)|\binterpret|\bsummar|\bobservations?\b|\bcaption\b"
    r"|\bfindings?\b|\bimpressions?\b|\bwhat do you see\b",
    re.IGNORECASE,
)


class LlavaConversations(EntryFile):
    """Studies of conversations in the layout of LLaVA."""

    def entries(self) -> Iterator[tuple[str, Any]]:
        if self.path.suffix == ".jsonl":
            with self.path.open(encoding="utf-8-sig", errors="replace") as lines:
                for number, line in enumerate(lines, start=1):
                    place = f"{self.path}, line {number}"
                    try:
                        if line.strip():
                            yield place, parse_json(line)
                    except ValueError as error:
                        raise UserError(f"{place}: invalid JSON ({error})") from error
            return
        entries = self.load_json()
        if not isinstance(entries, list):
            raise UserError(f"{self.path}: expected a list of conversations")
        for number, entry in enumerate(entries, start=1):
            yield f"{self.path}, entry {number}", entry

    def texts(self, entry: Mapping[str, Any], place: str) -> dict[str, str]:
        turns = entry.get("conversations")
        if not isinstance(turns, list):
            raise UserError(f"{place}: expected 'conversations', a list of turns")
        texts: dict[str, list[str]] = {}
        question = ""
        for turn in turns:
            if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
                raise UserError(f"{place}: expected turns with 'from' and 'value'")
            if turn.get("from") not in ("gpt", "assistant"):
                question = turn["value"].replace("<image>", " ").strip()
                continue
            key = _section_asked(question)
            if key is not None:
                texts.setdefault(key, []).append(turn["value"].strip())
        return {key: "\n\n".join(dict.fromkeys(parts)) for key, parts in texts.items()}


def _section_asked(question: str) -> str | None:
    """Return the key of what a question asks for; None unless it asks for a report or section."""
    if not _REPORT.search(question) or _YES_NO.match(question):
        return None
    named = {match[0][:4].lower() for match in _SECTION.finditer(question)}
    if named == {"find"} and not re.search(r"\breports?\b", question, re.IGNORECASE):
        return "findings"
    return "impression" if named and "find" not in named else "text"
