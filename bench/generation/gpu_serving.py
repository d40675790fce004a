"""What serving a model of Llama 3.2 Vision's shape costs on one GPU: every figure in one run.

python -m bench.generation.gpu_serving --out FILE                       # full shape, random weights
python -m bench.generation.gpu_serving --shape tiny --batches 1 2 --prompt 40 --tokens 8 --clients 6
python -m bench.generation.gpu_serving --in-memory --formats bfloat16 --batches 32 \\
    --parts load reports                                                                # 120 s
python -m bench.generation.gpu_serving --in-memory --kernels --rank 16 \\
    --parts steps first_tokens                                                          # 120 s

Weights are those of ``bench.training.random_model --formats bfloat16 nf4``, or the same made where
they are used, without 28 GB of files. Each part prints one
JSON line with the device and the peak of memory, and a part that fails prints why and ends no
other:

- ``step``: a decoding step by the operations of torch and by `generator.mllama.kernels`, in a
  static batch and in fixed places (`slots.SlotDecoder`), beside the time that reading weights and
  filled caches takes at the measured bandwidth of a copy; in bfloat16, NF4 and NF4 with LoRA, for
  each batch size; ``logits_apart`` is the relative difference between the logits of both;
- ``tower``: images of one and of all tiles, with padding tiles and without;
- ``first_token``: image, prompt and first token, with padding tiles and without, where it is read
  as it is served;
- ``reports``: whole reports, image and prompt included, in static batches and as they are served,
  where each joins the others at any step; ``before``: static batches by torch, with padding tiles,
  one image after the other; ``static``: by what serves, images together;
- ``clients``: the same for many clients with outputs of many lengths;
- ``load``: seconds from request to end at 70 % of the requests a second that are served at most,
  which come at random, beside those of a report alone.
"""

import argparse
import gc
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image

from bench.generation.served_requests import ServedRequests
from bench.training.random_model import ROOT, in_memory
from db.errors import UserError
from db.files import write_json
from evaluation.provenance import device_name
from generator.mllama.adapter_record import TileUse
from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.rows import Work
from generator.mllama.decoding.slots import SlotDecoder
from generator.mllama.decoding.static_batch import decode_together
from generator.mllama.kernels.available import difference
from generator.mllama.load import load_model
from generator.mllama.model import MllamaModel
from generator.mllama.processor import PromptProcessor
from generator.mllama.vision.encoder import EncodedImage, Pixels
from generator.vision_language import DecodingOptions

Figures = dict[str, Any]
PARTS = ("steps", "towers", "first_tokens", "reports", "load")
_WORDS = "The heart is enlarged. No pleural effusion or pneumothorax is seen in the lungs."
LOAD = 0.7
"""Requests that come, as a share of those that can be served."""


class Bench:
    """One model in one format, and what is measured of it."""

    def __init__(self, arguments: argparse.Namespace, form: str) -> None:
        base, device = arguments.work / arguments.shape / form, arguments.device
        self.arguments, self.form = arguments, form
        if arguments.in_memory:
            self.model = made(arguments, form)
        else:
            self.model = load_model(base, device=device, kernels=False)
        self.device = self.model.decoder.device
        draw = np.random.default_rng(0)
        side = self.model.tile_size
        grey = draw.integers(0, 255, (2, side, side), dtype=np.uint8)
        self.one = Image.fromarray(grey[0]).convert("RGB")
        self.row = self._row()
        self.vocabulary: int = self.model.decoder.text.embed_tokens.weight.shape[0] - 8

    def _row(self) -> list[int]:
        image = self.model.decoder.image_token
        return [5, 6, image, *(7 + n % 300 for n in range(self.arguments.prompt - 3))]

    def decoder(self, tiles: TileUse, *, kernels: bool | None = None) -> Decoder:
        """By kernels where that is asked for."""
        chosen = self.arguments.kernels if kernels is None else kernels
        return Decoder(self.model.decoder.model, tiles=tiles, kernels=chosen)

    def pixels(self, tiles: int, count: int) -> Pixels:
        """Images that fill so many tiles of those the model has."""
        one = self.model.processor.tiling.pixels([self.one])
        values = one.values[:, :, :1].repeat(count, 1, one.values.shape[2], 1, 1, 1)
        values[:, :, tiles:] = 0
        mask = torch.zeros(count, 1, one.values.shape[2], dtype=torch.long)
        mask[:, :, :tiles] = 1
        return Pixels(
            values=values,
            aspect_ratio_ids=torch.full((count, 1), tiles),
            aspect_ratio_mask=mask,
        )

    def seconds(self, action: Callable[[], object], rounds: int = 5) -> float:
        """The median, after one round that warms up."""
        taken = []
        for _ in range(rounds + 1):
            self.wait()
            start = time.perf_counter()
            action()
            self.wait()
            taken.append(time.perf_counter() - start)
        return statistics.median(taken[1:])

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def bandwidth(self) -> float:
        """Bytes a second of a copy, reads and writes."""
        size = 2**30 if self.device.type == "cuda" else 2**25
        source = torch.empty(size, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        return 2 * size / self.seconds(lambda: target.copy_(source))

    def weight_bytes(self) -> int:
        """Of what a step reads: the text model without its embeddings, and the head."""
        decoder = self.model.decoder
        parts = [*decoder.text.layers.parameters(), *decoder.model.lm_head.parameters()]
        return sum(part.nbytes for part in parts)

    def slot_decoder(self, decoder: Decoder, places: int) -> SlotDecoder:
        shape = decoder.model.config.vision_config
        patches = (shape.image_size // shape.patch_size) ** 2 + 1
        slots = self.arguments.prompt + self.arguments.tokens + 32
        return SlotDecoder(
            decoder,
            places=places,
            slots=-(-slots // 256) * 256,
            image_tokens=patches * self.arguments.tiles,
        )

    def image(self, decoder: Decoder) -> EncodedImage:
        return decoder.encode_image(self.pixels(self.arguments.tiles, 1))

    def steps(self) -> Iterator[Figures]:
        speed, weights = self.bandwidth(), self.weight_bytes()
        for batch in self.arguments.batches:
            ways = product((False, True) if self.arguments.kernels else (False,), (False, True))
            for kernels, places in ways:
                gc.collect()
                decoder = self.decoder("real", kernels=kernels)
                if kernels and decoder.step is None:
                    raise UserError("no kernels compute this model here")
                step, cache = self._step(decoder, batch, places=places)
                started = time.perf_counter()
                step()
                self.wait()
                first = time.perf_counter() - started
                for _ in range(3):
                    step()
                seconds = self.seconds(lambda step=step: [step() for _ in range(4)]) / 4
                yield {
                    "part": "step",
                    "by": "kernels" if kernels else "torch",
                    "in": "places" if places else "a static batch",
                    "batch": batch,
                    "ms": round(1e3 * seconds, 3),
                    "tokens_per_second": round(batch / seconds, 1),
                    "share_of_limit": round((weights + cache) / speed / seconds, 3),
                    "first_step_s": round(first, 1),
                }
        if self.arguments.kernels:
            both = (self.decoder("real", kernels=kernels) for kernels in (False, True))
            yield {"part": "logits", "logits_apart": round(difference(*both), 5)}

    def _step(
        self, decoder: Decoder, batch: int, *, places: bool
    ) -> tuple[Callable[[], object], int]:
        """One more token for every row, and the bytes of cache that it reads."""
        image, room = self.image(decoder), 64
        if not places:
            rows = image.rows(torch.zeros(batch, dtype=torch.long, device=self.device))
            state, logits = decoder.prefill([self.row] * batch, rows, room=room)
            tokens = logits.argmax(dim=-1)
            return lambda: decoder.decode_step(state, tokens), self._filled(decoder, image, batch)
        slots = self.slot_decoder(decoder, batch)
        held = [slots.start(slots=len(self.row) + room, image=image) for _ in range(batch)]
        slots.extend([Work(row, self.row) for row in held])
        filled = self._filled(decoder, image, batch)
        return lambda: slots.extend([Work(row, [7]) for row in held]), filled

    def _filled(self, decoder: Decoder, image: EncodedImage, batch: int) -> int:
        """Bytes of caches that a step has to read: no free slots, and no padding tiles."""
        keys, _ = image.pairs[0]
        real = keys.shape[2] if image.tile_mask is None else int(image.tile_mask[0].sum())
        crossing = len(image.pairs)
        tokens = (len(decoder.layers) - crossing) * len(self.row) + crossing * real
        return 2 * batch * tokens * decoder.key_heads * decoder.head_size * keys.itemsize

    def towers(self) -> Iterator[Figures]:
        every = self.pixels(1, 1).values.shape[2]
        for count in self.arguments.batches:
            for tiles in sorted({1, min(2, every), every}):
                pixels = self.pixels(tiles, count)
                taken = {
                    use: self.seconds(
                        lambda use=use, pixels=pixels: self.decoder(use).encode_image(pixels), 3
                    )
                    for use in ("all", "real")
                }
                yield {
                    "part": "tower",
                    "batch": count,
                    "tiles": tiles,
                    "all_ms": round(1e3 * taken["all"], 2),
                    "real_ms": round(1e3 * taken["real"], 2),
                    "share": round(taken["real"] / taken["all"], 3),
                }

    def first_tokens(self) -> Iterator[Figures]:
        padded = self.decoder("all")
        real = self.decoder("real")
        slots = self.slot_decoder(real, 1)

        def served() -> None:
            row = slots.start(slots=len(self.row) + 1, image=self.image(real))
            slots.extend([Work(row, self.row)])
            slots.release(row)

        taken = {
            "all": self.seconds(lambda: padded.prefill([self.row], self.image(padded), room=1)),
            "real": self.seconds(served),
        }
        yield {
            "part": "first_token",
            "all_ms": round(1e3 * taken["all"], 2),
            "real_ms": round(1e3 * taken["real"], 2),
            "share": round(taken["real"] / taken["all"], 3),
        }

    def reports(self) -> Iterator[Figures]:
        """All reports of one length; then of many lengths, one for each client."""
        batch, tokens = max(self.arguments.batches), self.arguments.tokens
        draw = np.random.default_rng(1)
        several = np.clip(
            draw.lognormal(np.log(tokens / 2.5), 0.6, self.arguments.clients), 2, tokens
        )
        for part, lengths in (
            ("reports", [tokens] * batch),
            ("clients", [int(one) for one in np.clip(several, 2, tokens)]),
        ):
            before = self.seconds(partial(self._static, lengths, batch, as_before=True), 1)
            static = self.seconds(partial(self._static, lengths, batch), 1)
            served = self.seconds(partial(self.served(batch).all, lengths), 1)
            yield {
                "part": part,
                "batch": batch,
                "reports": len(lengths),
                "before_per_s": round(len(lengths) / before, 3),
                "static_per_s": round(len(lengths) / static, 3),
                "served_per_s": round(len(lengths) / served, 3),
                "times_before": round(before / served, 2),
                "times_static": round(static / served, 2),
            }

    def _static(self, lengths: Sequence[int], batch: int, *, as_before: bool = False) -> None:
        """A batch ends with its longest report."""
        decoder = self.decoder("all", kernels=False) if as_before else self.decoder("real")
        for start in range(0, len(lengths), batch):
            some = lengths[start : start + batch]
            pixels = self.pixels(self.arguments.tiles, 1 if as_before else len(some))
            image = decoder.encode_image(pixels)
            if as_before:
                for _ in some[1:]:
                    image = decoder.encode_image(pixels)
                image = image.rows(torch.zeros(len(some), dtype=torch.long, device=self.device))
            options = DecodingOptions(max_new_tokens=max(some))
            left = np.array(some)
            checks = [partial(_ended, left, number) for number in range(len(some))]
            for picked in decode_together(
                decoder, [self.row] * len(some), image, options, frozenset(), checks
            ):
                left[list(picked)] -= 1

    def load(self) -> Iterator[Figures]:
        """Reports of one length that come at random, as from many clients who do not wait for each
        other."""
        batch, tokens = max(self.arguments.batches), self.arguments.tokens
        asked = self.served(batch)
        count = self.arguments.clients
        alone = self.seconds(partial(asked.all, [tokens]), 3)
        rate = count / self.seconds(partial(asked.all, [tokens] * count), 1)
        gaps = np.random.default_rng(2).exponential(1 / (LOAD * rate), 2 * count)
        waits = sorted(asked.at(np.cumsum(gaps) - gaps[0], tokens))
        yield {
            "part": "load",
            "batch": batch,
            "requests": len(waits),
            "at_most_per_s": round(rate, 3),
            "come_per_s": round(LOAD * rate, 3),
            "alone_s": round(alone, 3),
            "median_s": round(statistics.median(waits), 3),
            "p95_s": round(waits[math.ceil(0.95 * len(waits)) - 1], 3),
            "p95_times_alone": round(waits[math.ceil(0.95 * len(waits)) - 1] / alone, 2),
        }

    def served(self, batch: int) -> ServedRequests:
        gc.collect()  # caches and recorded steps of the one before
        decoder = self.decoder("real")
        model = MllamaModel(
            decoder=decoder,
            processor=self.model.processor,
            ends=frozenset(),
            folder=self.arguments.work,
            name="random",
            rows=self.slot_decoder(decoder, batch),
            batch_size=batch,
        )
        return ServedRequests(
            model,
            prompt=self.arguments.prompt,
            size=(model.tile_size * self.arguments.tiles, model.tile_size),
        )


def made(arguments: argparse.Namespace, form: str) -> MllamaModel:
    """A model of random weights that are not read from files; LoRA beside those in NF4."""
    folder = arguments.work / arguments.shape / "memory"
    weights = in_memory(folder, arguments.shape, [_WORDS], form)
    if form == "nf4" and arguments.rank:
        lora = LoraConfig(r=arguments.rank, target_modules=r".*language_model.*_proj")
        weights = get_peft_model(weights, lora).get_base_model()
        for name, weight in weights.named_parameters():
            if "lora_" in name:
                weight.data.normal_(0, 0.02)
        weights.requires_grad_(False).eval()
    return MllamaModel(
        decoder=Decoder(weights),
        processor=PromptProcessor.read(folder),
        ends=frozenset(),
        folder=folder,
        name="random",
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", choices=("full", "tiny"), default="full")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "training_speed")
    parser.add_argument("--in-memory", action="store_true", help="make weights, read no files")
    parser.add_argument("--kernels", action="store_true", help="of generator.mllama.kernels")
    parser.add_argument("--rank", type=int, default=0, help="of LoRA beside NF4, in memory")
    parser.add_argument("--formats", nargs="+", default=["bfloat16", "nf4"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--prompt", type=int, default=600, help="tokens")
    parser.add_argument("--tokens", type=int, default=160, help="of a report")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--tiles", type=int, default=1, help="that an image fills")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="all unless named"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="for the figures")
    arguments = parser.parse_args(argv)
    found: list[Figures] = []
    failed = 0
    for form in arguments.formats:
        bench = Bench(arguments, form)
        about = {"format": form, "device": device_name(bench.device)}
        for part in arguments.parts:
            if bench.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            try:
                for figures in getattr(bench, part)():
                    figures |= about | peak(bench.device)
                    found.append(figures)
                    print(json.dumps(figures), flush=True)
            except Exception as error:  # the other parts are measured all the same
                failed += 1
                print(f"{form}, {part}: {type(error).__name__}: {error}", file=sys.stderr)
            if arguments.out is not None:
                write_json(arguments.out, found)
        del bench
        gc.collect()
    return 1 if failed else 0


def _ended(left: npt.NDArray[np.int64], number: int) -> bool:
    return bool(left[number] <= 0)


def peak(device: torch.device) -> Figures:
    if device.type != "cuda":
        return {}
    return {"peak_gb": round(torch.cuda.max_memory_reserved(device) / 1e9, 2)}


if __name__ == "__main__":
    sys.exit(main())
