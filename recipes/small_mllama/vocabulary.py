"""The vocabulary of the small base model: SmolLM2's, cut down to what radiology reports need.

A token is kept where the corpus uses it, with every token it is merged from, so that the corpus
reads as before. Added are one token for each citation, ``[1]`` to ``[9]``, and the special tokens
under the names that Llama 3.2 gives them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from db.errors import UserError

CITATIONS = tuple(f"[{number}]" for number in range(1, 10))

BEGIN, END, PAD = "<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>"
HEADER, HEADER_END, TURN_END, IMAGE = (
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|image|>",
)
SPECIAL = (BEGIN, END, PAD, HEADER, HEADER_END, TURN_END, IMAGE)
"""The image is last: its id is the size of the vocabulary a model may write, as in Llama 3.2."""

ANCESTORS = {
    BEGIN: ("<|im_start|>",),
    END: ("<|endoftext|>",),
    PAD: ("<|endoftext|>",),
    HEADER: ("<|im_start|>",),
    HEADER_END: ("Ċ",),
    TURN_END: ("<|im_end|>",),
    IMAGE: ("Ġimage",),
}
"""SmolLM2's tokens in the alphabet of byte-level encoding whose embeddings a new token starts
from; one that is missing is passed over."""

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|image|>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
"""Llama 3.2's turns, without its preamble on dates and tools."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    tokens: Sequence[str]
    """Kept tokens in their old order; citations and special tokens come after them."""
    merges: Sequence[tuple[str, str]]
    origins: Sequence[Sequence[int]]
    """For every token, added ones too, the old ids whose mean embedding it starts from."""

    @property
    def written(self) -> int:
        """Tokens that a model may write: all but the image."""
        return len(self.origins) - 1

    def tokenizer(self) -> PreTrainedTokenizerFast:
        tokenizer = byte_pair(self.tokens, self.merges)
        tokenizer.add_tokens([AddedToken(text, normalized=False) for text in CITATIONS])
        tokenizer.add_special_tokens(
            [AddedToken(text, normalized=False, special=True) for text in SPECIAL]
        )
        return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=tokenizer,
            bos_token=BEGIN,
            eos_token=TURN_END,
            pad_token=PAD,
            padding_side="right",
            clean_up_tokenization_spaces=False,
        )


def byte_pair(tokens: Sequence[str], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """As SmolLM2 splits text: digits one by one, words with the space before them."""
    tokenizer = Tokenizer(
        models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=list(merges))
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def prune(
    tokens: Sequence[str],
    merges: Sequence[tuple[str, str]],
    control: Iterable[int],
    corpus: Iterable[str],
    *,
    ranks: int,
    uses: int,
) -> Vocabulary:
    """Keep single bytes, the first ``ranks`` tokens, those used ``uses`` times, and their parts.

    Raises UserError for a corpus without text.
    """
    ids = {token: number for number, token in enumerate(tokens)}
    full = byte_pair(tokens, merges)
    full.add_tokens([AddedToken(text, normalized=False) for text in CITATIONS])
    counts: Counter[int] = Counter()
    batch: list[str] = []
    for text in corpus:
        batch.append(text)
        if len(batch) == 1000:
            _count(full, batch, counts)
            batch.clear()
    _count(full, batch, counts)
    if not counts:
        raise UserError("the corpus has no text: name a pack of examples")
    hidden = set(control)
    made_of = {first + second: (first, second) for first, second in reversed(merges)}
    wanted = {number for number, count in counts.items() if count >= uses and number < len(tokens)}
    wanted |= set(range(min(ranks, len(tokens))))
    wanted |= {number for number, token in enumerate(tokens) if len(token) == 1}
    waiting = list(wanted)
    while waiting:
        for part in made_of.get(tokens[waiting.pop()], ()):
            if ids[part] not in wanted:
                wanted.add(ids[part])
                waiting.append(ids[part])
    kept = [number for number in sorted(wanted) if number not in hidden]
    names = {tokens[number] for number in kept}
    origins: list[tuple[int, ...]] = [(number,) for number in kept]
    origins += [tuple(ids[part] for part in text if part in ids) for text in CITATIONS]
    origins += [tuple(ids[part] for part in ANCESTORS[text] if part in ids) for text in SPECIAL]
    return Vocabulary(
        tokens=[tokens[number] for number in kept],
        merges=[(a, b) for a, b in merges if a in names and b in names and a + b in names],
        origins=origins,
    )


def _count(tokenizer: Tokenizer, texts: Sequence[str], counts: Counter[int]) -> None:
    for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
        counts.update(encoding.ids)
