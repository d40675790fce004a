"""From prompts to the tokens and pixels that a Llama 3.2 Vision model reads, and back to text.

processor = PromptProcessor.read(folder)
row = processor.encode(processor.render(messages("Describe this image.")))
pixels = processor.tiling.pixels([image])
text = processor.decode(tokens)

The chat template, the tokenizer and the tiles are those of the folder; results are equal with those
of transformers' ``MllamaProcessor``, which takes seconds to import.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from db.errors import UserError
from db.files import read_json
from generator.mllama.vision.tiles import Tiling
from generator.prompts import messages

IMAGE = "<|image|>"
"""The token that stands for the image."""
_NAMED = ("bos_token", "eos_token", "pad_token", "unk_token")


class PromptProcessor:
    """Of one model; safe to use from several threads."""

    def __init__(
        self, *, tokenizer: Tokenizer, template: Template, named: Mapping[str, str], tiling: Tiling
    ) -> None:
        """``named``: the special tokens by the names that chat templates use."""
        self.tiling = tiling
        self._tokenizer, self._template, self._named = tokenizer, template, named
        added = tokenizer.get_added_tokens_decoder().values()
        self.special = tuple(token.content for token in added if token.special)
        """Texts that the tokenizer reads as a turn, an end or an image."""
        end = named.get("eos_token")
        self.end: int | None = None if end is None else tokenizer.token_to_id(end)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises UserError for a folder without a usable tokenizer, template or tiles."""
        cure = "name an Instruct model with all of its files"
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises nothing more special
            raise UserError(
                f"{folder} has no usable tokenizer.json ({str(error)[:200]}): {cure}"
            ) from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        stored = folder / "tokenizer_config.json"
        config = read_json(stored) if stored.is_file() else {}
        source = _template_source(folder, config)
        if source is None:
            raise UserError(f"{folder} has no chat template: {cure}")
        named = {name: _content(config[name]) for name in _NAMED if config.get(name)}
        try:
            template = _environment().from_string(source)
            processor = cls(
                tokenizer=tokenizer, template=template, named=named, tiling=Tiling.read(folder)
            )
            rendered = processor.render(messages("text"))
        except (TemplateError, TypeError, ValueError) as error:
            raise UserError(
                f"the chat template of {folder} cannot be used ({str(error)[:200]}): {cure}"
            ) from error
        if rendered.count(IMAGE) != 1 or "text" not in rendered:
            raise UserError(f"the chat template of {folder} shows no image: name an Instruct model")
        return processor

    def render(self, turns: Sequence[Mapping[str, Any]]) -> str:
        """The conversation as text, up to where the answer begins."""
        return self._template.render(messages=turns, add_generation_prompt=True, **self._named)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without any that the tokenizer would add."""
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text


def _template_source(folder: Path, config: Mapping[str, Any]) -> str | None:
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    stored = folder / "chat_template.json"
    found = read_json(stored) if stored.is_file() else config
    source = found.get("chat_template")
    return source if isinstance(source, str) else None


def _content(token: str | Mapping[str, Any]) -> str:
    """Of a special token, which is stored as its text or with its settings."""
    return token if isinstance(token, str) else str(token["content"])


def _environment() -> ImmutableSandboxedEnvironment:
    """What chat templates may use, as in transformers."""

    def fail(message: str) -> None:
        raise TemplateError(message)

    def to_json(value: Any, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = fail
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment
