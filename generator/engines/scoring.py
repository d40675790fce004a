"""How likely a model finds each of a few answers, from what a chat completion holds.

from_logprobs(choice, ["yes", "no"])        # natural log-probabilities, or None without them
from_samples(["Yes.", "yes", "No"], ["yes", "no"])      # logs of smoothed shares
"""

import math
import re
from collections.abc import Sequence

from openai.types.chat.chat_completion import Choice

TOP = 20
"""Likeliest tokens that are asked for; servers allow no more."""
_WORD = re.compile(r"\w+")


def from_logprobs(choice: Choice, answers: Sequence[str]) -> list[float] | None:
    """The log-probability that the first token begins each answer; None without log-probabilities.

    An answer that no listed token begins gets the least listed one, which bounds it from above.
    Raises ValueError where no listed token begins any of them, or one begins several.
    """
    content = None if choice.logprobs is None else choice.logprobs.content
    if not content or not content[0].top_logprobs:
        return None
    listed = content[0].top_logprobs
    found: dict[str, list[float]] = {answer: [] for answer in answers}
    for one in listed:
        token = one.token.strip().lower()
        begun = [answer for answer in answers if token and answer.lower().startswith(token)]
        if len(begun) > 1:
            raise ValueError(f"'{token}' begins several of the answers")
        for answer in begun:
            found[answer].append(one.logprob)
    if not any(found.values()):
        raise ValueError("no likely token begins an answer")
    least = min(one.logprob for one in listed)
    return [_log_sum(found[answer]) if found[answer] else least for answer in answers]


def from_samples(texts: Sequence[str], answers: Sequence[str]) -> list[float]:
    """Logs of the shares of texts that begin with each answer, half a text added to each.

    Raises ValueError where no text begins with any of them.
    """
    words = [_WORD.search(text.lower()) for text in texts]
    first = [word[0] if word else "" for word in words]
    counts = [sum(word == answer.lower() for word in first) for answer in answers]
    if not sum(counts):
        raise ValueError("no text begins with an answer")
    total = sum(counts) + 0.5 * len(answers)
    return [math.log((count + 0.5) / total) for count in counts]


def _log_sum(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + math.log(sum(math.exp(one - most) for one in logs))
