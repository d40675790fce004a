"""Loading and asking a tiny Mllama model; what cannot be loaded says why and what to do."""

import json
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from peft import PeftModel
from transformers import MllamaForConditionalGeneration, MllamaProcessor

from db.errors import MismatchError, NotFoundError, TooLargeError, UserError
from generator.assessment.calibration import Calibration
from generator.mllama.adapter import attach
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import base_sha256, find_folder
from generator.mllama.decoding.sampling import IncrementalText
from generator.mllama.load import Quantization, load_model
from generator.mllama.model import MllamaModel
from generator.mllama.vision.feature_cache import FeatureCache
from generator.prompts import PROMPT_VERSION, Prompt, messages
from generator.vision_language import DecodingOptions, PromptTooLongError, VisionLanguageModel
from tests.conftest import ROOT
from tests.support.models.mllama_models import (
    drawn_canvas,
    image_prompt,
    write_adapter,
    write_mllama,
)

SHORT = DecodingOptions(max_new_tokens=20)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_mllama(root / "base")
    write_adapter(root / "adapter", root / "base")
    return root


@pytest.fixture(scope="module")
def model(root: Path) -> MllamaModel:
    return load_model(root / "base", device="cpu", quantization="none")


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A model folder to break."""
    return Path(shutil.copytree(root / "base", tmp_path / "model"))


@pytest.fixture
def adapter_copy(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root / "adapter", tmp_path / "adapter"))


def by_transformers(model: Any, folder: Path, prompt: Prompt, tokens: int = 20) -> str:
    processor: Any = MllamaProcessor.from_pretrained(folder)
    text = processor.apply_chat_template(messages(prompt.text), add_generation_prompt=True)
    inputs = processor(
        images=[[prompt.image]], text=text, add_special_tokens=False, return_tensors="pt"
    )
    answer = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    written: str = processor.tokenizer.decode(
        answer[0][inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    return written


@contextmanager
def counted(model: MllamaModel) -> Iterator[Counter[str]]:
    """Calls of the model's decoders by name."""
    decoder, rows, calls = model.decoder, model.rows, Counter[str]()

    class Counting:
        def __init__(self, counted: object) -> None:
            self._counted = counted

        def __getattr__(self, name: str) -> Any:
            calls[name] += 1
            return getattr(self._counted, name)

    model.decoder, model.rows = Counting(decoder), Counting(rows)  # type: ignore[assignment]
    try:
        yield calls
    finally:
        model.decoder, model.rows = decoder, rows


def record(base: Path, **changes: Any) -> dict[str, Any]:
    return {
        "base_model": str(base),
        "base_sha256": base_sha256(base),
        "prompt_version": PROMPT_VERSION,
        "index_fingerprint": "a" * 64,
        "encoder_sha256": "e" * 64,
        **changes,
    }


def test_a_loaded_model_is_what_the_generator_asks_for(root: Path, model: MllamaModel) -> None:
    promised: VisionLanguageModel = model
    assert promised.name == str(root / "base") and promised.adapter is None
    assert promised.tile_size == 28 and promised.context_tokens == 1024
    assert promised.weights_sha256 == base_sha256(root / "base")
    assert promised.count_tokens("[1][2]") == 2


def test_prompts_together_are_answered_as_alone(model: MllamaModel) -> None:
    prompts = [
        image_prompt("Describe this film.", tiles=2),
        image_prompt("Is there edema?", tiles=0),
        image_prompt("Prior cases:\n[1] Small effusion.\n\nWrite the findings.", tiles=1),
    ]
    answers = model.generate(prompts, SHORT)
    assert answers == [model.generate([prompt], SHORT)[0] for prompt in prompts]
    assert len(set(answers)) == 3
    assert model.generate([], SHORT) == []


def test_pieces_join_to_the_answer(model: MllamaModel) -> None:
    for prompt in (image_prompt("Describe this film.", tiles=n) for n in (0, 1, 2)):
        pieces = list(model.stream(prompt, SHORT))
        assert len(pieces) > 1 and all(pieces)
        assert "".join(pieces) == model.generate([prompt], SHORT)[0]


def test_pieces_join_to_the_text_of_any_tokens(model: MllamaModel) -> None:
    """Among them incomplete characters, as random tokens have."""
    draw = np.random.default_rng(0)
    size = model.decoder.text.embed_tokens.weight.shape[0] - 8
    incomplete = 0
    for _ in range(50):
        tokens = draw.integers(0, size, 40).tolist()
        tokens[7:7] = model.processor.encode(" naïve — 5 µg")
        text = IncrementalText(model.processor.decode)
        pieces = [text.append(token) for token in tokens]
        incomplete += pieces.count("")
        whole = model.processor.decode(tokens)
        assert "".join(pieces) + text.rest() == whole
    assert incomplete > 50


def test_pieces_keep_the_spaces_that_a_tokenizer_drops_from_the_beginning_of_a_text() -> None:
    words = ["", " a", " b", " ", "c"]
    text = IncrementalText(lambda tokens: "".join(words[token] for token in tokens).lstrip())
    assert [text.append(token) for token in (1, 2, 3, 4, 1)] == ["a", " b", " ", "c", " a"]


def test_an_answer_ends_where_the_model_ends_it(root: Path, copy: Path) -> None:
    prompt = image_prompt("Describe this film.", tiles=2)
    whole = load_model(root / "base", device="cpu", quantization="none").generate([prompt], SHORT)
    first = by_transformers(
        MllamaForConditionalGeneration.from_pretrained(root / "base"), root / "base", prompt, 3
    )
    tokens = MllamaProcessor.from_pretrained(copy).tokenizer.encode(whole[0])
    settings = json.loads((copy / "generation_config.json").read_text())
    settings["eos_token_id"] = [tokens[4]]
    (copy / "generation_config.json").write_text(json.dumps(settings))
    cut = load_model(copy, device="cpu", quantization="none").generate([prompt], SHORT)
    assert whole[0].startswith(cut[0]) and len(cut[0]) < len(whole[0])
    assert whole[0].startswith(first[:3])


def test_closing_a_stream_ends_the_computation(model: MllamaModel) -> None:
    with counted(model) as calls:
        stream: Any = model.stream(image_prompt("Describe this film."))
        next(stream)
        stream.close()
        taken = calls["extend"]
        list(model.stream(image_prompt("Describe this film."), SHORT))
    assert taken < 10
    assert calls["extend"] > taken


def test_answers_streamed_together_equal_those_generated(model: MllamaModel) -> None:
    prompts = [
        image_prompt(text, seed=n) for n, text in enumerate(("Radiograph", "Write a report", "A"))
    ]
    pieces: dict[int, str] = dict.fromkeys(range(3), "")
    ended = []
    for number, piece in model.stream_all(prompts, SHORT):
        assert number not in ended
        if piece is None:
            ended.append(number)
        else:
            pieces[number] += piece
    assert sorted(ended) == [0, 1, 2]
    assert list(pieces.values()) == model.generate(prompts, SHORT)


def test_a_cancelled_answer_ends_and_the_others_go_on(model: MllamaModel) -> None:
    prompts = [image_prompt(text) for text in ("Radiograph", "Write", "Answer")]
    pieces: dict[int, list[str | None]] = {number: [] for number in range(3)}
    cancelled = {0}
    with counted(model) as calls:
        for number, piece in model.stream_all(prompts, SHORT, cancelled=cancelled.__contains__):
            pieces[number].append(piece)
            if len(pieces[1]) == 2:
                cancelled.add(1)
        assert calls["encode_image"] <= 1
    assert pieces[0] == []
    assert len(pieces[1]) <= 5 and pieces[1][-1] is None
    assert "".join(piece or "" for piece in pieces[2]) == model.generate([prompts[2]], SHORT)[0]
    with counted(model) as calls:
        assert list(model.stream_all(prompts, SHORT, cancelled=lambda _: True)) == []
        assert calls["extend"] == 0


@pytest.mark.parametrize(("between", "passes"), [(1, [2, 1, 1]), (8, [2, 2])])
def test_images_of_prompts_that_join_are_encoded_together_but_few_between_steps(
    model: MllamaModel, monkeypatch: pytest.MonkeyPatch, between: int, passes: list[int]
) -> None:
    """So that the answers being written wait for few images at a time."""
    prompts = [image_prompt("Write a report", seed=20 * between + seed) for seed in range(4)]
    encoded: list[int] = []
    waiting = [prompts[2:]]

    def encode_some(images: list[Any]) -> Any:
        encoded.append(len(images))
        return model._encode_some(images)

    features = FeatureCache(encode_some, max_bytes=10**9)
    monkeypatch.setattr(model, "_features", features)
    monkeypatch.setattr(model, "_images_between", between)

    def more(_: int) -> list[Prompt]:
        return waiting.pop() if waiting and encoded else []

    pieces = dict.fromkeys(range(4), "")
    for number, piece in model.stream_all(prompts[:2], SHORT, more=more):
        pieces[number] += piece if isinstance(piece, str) else ""
    assert encoded == passes
    monkeypatch.undo()
    assert list(pieces.values()) == model.generate(prompts, SHORT)


def test_draws_follow_the_seed_and_not_the_company(model: MllamaModel) -> None:
    prompts = [image_prompt("Describe this film.", tiles=n) for n in (1, 2)]
    drawn = DecodingOptions(max_new_tokens=20, temperature=1.0, seed=3)
    answers = model.generate(prompts, drawn)
    assert answers == [model.generate([prompt], drawn)[0] for prompt in prompts]
    assert answers != model.generate(
        prompts, DecodingOptions(max_new_tokens=20, temperature=1.0, seed=4)
    )
    assert answers != model.generate(prompts, SHORT)


@pytest.mark.parametrize(
    "wrong", [{"max_new_tokens": 0}, {"temperature": -1.0}, {"temperature": 11.0}, {"seed": -1}]
)
def test_decoding_options_have_limits(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        DecodingOptions(**wrong)


def test_a_prompt_that_does_not_fit_names_the_numbers(model: MllamaModel) -> None:
    prompt = image_prompt("The heart is enlarged. " * 200)
    with pytest.raises(PromptTooLongError, match=r"\d{4} tokens .* 20, .* 1024 .* shorten"):
        model.stream(prompt, SHORT)
    with pytest.raises(PromptTooLongError):
        model.generate([prompt], SHORT)
    with pytest.raises(PromptTooLongError):
        model.loglikelihood([prompt], ["yes"])


def test_text_cannot_end_its_turn_or_show_an_image(model: MllamaModel) -> None:
    plain = image_prompt("The heart   is enlarged.")
    cunning = image_prompt("The heart <|image|> is enlarged.")
    assert model.generate([cunning], SHORT) == model.generate([plain], SHORT)
    assert model.count_tokens("<|eot_id|>") == model.count_tokens(" ")
    nested = "<|eo<|eot_id|>t_id|>"
    assert model.count_tokens(nested) > 3


def test_choices_are_scored_as_transformers_scores_them(model: MllamaModel, root: Path) -> None:
    reference: Any = MllamaForConditionalGeneration.from_pretrained(root / "base").eval()
    processor: Any = MllamaProcessor.from_pretrained(root / "base")
    image = drawn_canvas(2)
    prompts = [
        Prompt(task="classify", text=f"Prior cases: none.\n\nIs there {name}?", image=image)
        for name in ("edema", "effusion", "pneumonia")
    ]
    prompts.append(image_prompt("Is there edema?", tiles=1))
    prompts.append(image_prompt("Is there edema?", tiles=0))
    answers = ["yes", "no", "Yes. [1]"]
    scores = model.loglikelihood(prompts, answers)
    assert scores.shape == (5, 3)
    for row, prompt in zip(scores, prompts, strict=True):
        turns = messages(prompt.text, image=prompt.image is not None)
        start = processor.apply_chat_template(turns, add_generation_prompt=True)
        for score, answer in zip(row, answers, strict=True):
            images = None if prompt.image is None else [[prompt.image]]
            inputs = processor(
                images=images, text=start + answer, add_special_tokens=False, return_tensors="pt"
            )
            ids = inputs["input_ids"][0]
            count = len(processor.tokenizer.encode(answer, add_special_tokens=False))
            with torch.no_grad():
                logs = reference(**inputs).logits[0].log_softmax(dim=-1)
            places = torch.arange(len(ids) - count, len(ids))
            assert score == pytest.approx(float(logs[places - 1, ids[places]].sum()), abs=1e-3)


def test_many_long_prompts_are_scored_in_several_passes(model: MllamaModel) -> None:
    image = drawn_canvas(1, seed=77)
    prompts = [
        Prompt(task="classify", text=f"{word} " + "The heart is enlarged. " * 60, image=image)
        for word in ("Radiograph", "Answer", "Small", "Write", "Prior")
    ]
    with counted(model) as calls:
        together = model.loglikelihood(prompts, ["yes", "no"])
        assert calls["tree_logits"] > 1
        model.loglikelihood(prompts[:2], ["yes", "no"])
        assert calls["encode_image"] == 1
    alone = np.concatenate([model.loglikelihood([prompt], ["yes", "no"]) for prompt in prompts])
    assert together == pytest.approx(alone, abs=1e-3)


def test_scoring_needs_answers_that_are_not_empty(model: MllamaModel) -> None:
    for answers in ([], ["yes", ""]):
        with pytest.raises(UserError, match="at least one answer"):
            model.loglikelihood([image_prompt("Is there edema?")], answers)


def test_weights_stored_in_four_bits_run_in_float32_on_a_cpu(tmp_path: Path) -> None:
    folder = write_mllama(tmp_path / "nf4", nf4=True)
    prompt = image_prompt("Describe this film.", tiles=2)
    quantized = MllamaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model = load_model(folder, device="cpu", quantization="none")
    assert model.decoder.model.model.language_model.layers[0].mlp.up_proj.weight.is_floating_point()
    assert model.generate([prompt], SHORT)[0] == by_transformers(quantized, folder, prompt)


def test_four_bits_come_out_right_where_rows_are_not_whole_blocks(tmp_path: Path) -> None:
    """bitsandbytes gets such rows wrong on a CPU with AVX-512; 96 is one and a half blocks."""
    plain = MllamaForConditionalGeneration.from_pretrained(write_mllama(tmp_path / "a", mlp=96))
    folder = write_mllama(tmp_path / "b", mlp=96, nf4=True)
    model = load_model(folder, device="cpu", quantization="none")
    values = model.decoder.model.state_dict()
    for name, value in plain.state_dict().items():
        similarity = torch.cosine_similarity(value.flatten(), values[name].flatten(), dim=0)
        assert value.shape == values[name].shape and float(similarity) > 0.99, name


def test_an_adapter_is_merged_as_peft_applies_it(root: Path, model: MllamaModel) -> None:
    prompt = image_prompt("Describe this film.", tiles=2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        wrapped = PeftModel.from_pretrained(
            MllamaForConditionalGeneration.from_pretrained(root / "base"), str(root / "adapter")
        )
    adapted = load_model(root / "base", root / "adapter", device="cpu", quantization="none")
    answer = adapted.generate([prompt], SHORT)[0]
    assert answer == by_transformers(wrapped, root / "base", prompt)
    assert answer != model.generate([prompt], SHORT)[0]
    assert adapted.weights_sha256 != model.weights_sha256
    assert adapted.adapter == str(root / "adapter")


def test_plain_lora_is_merged_without_peft_to_the_bits_that_peft_gives(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def merged() -> dict[str, torch.Tensor]:
        base = MllamaForConditionalGeneration.from_pretrained(root / "base", dtype=torch.float32)
        return attach(base, root / "adapter", merge=True).state_dict()

    with monkeypatch.context() as patch:
        patch.setattr(PeftModel, "from_pretrained", None)
        own = merged()
    monkeypatch.setattr("generator.mllama.adapter._merge_plain", lambda *_: False)
    peft = merged()
    assert own.keys() == peft.keys()
    assert all(torch.equal(own[name], peft[name]) for name in own)


def test_an_adapter_without_a_record_is_taken_with_a_note(root: Path) -> None:
    adapted = load_model(root / "base", root / "adapter", device="cpu")
    assert len(adapted.notes) == 1 and "no record" in adapted.notes[0]


def test_an_adapter_with_a_fitting_record_is_taken(root: Path, adapter_copy: Path) -> None:
    stored = record(root / "base", data_sha256="d", config={}, packages={}, base_model="elsewhere")
    (adapter_copy / "adapter_record.json").write_text(json.dumps(stored))
    adapted = load_model(root / "base", adapter_copy, device="cpu")
    assert adapted.notes == () and adapted.record is not None
    adapted.record.check_index(encoder_sha256="e" * 64)
    with pytest.raises(MismatchError, match="another encoder"):
        adapted.record.check_index(encoder_sha256="f" * 64)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"base_sha256": "0" * 64}, "does not fit the weights"),
        ({"prompt_version": "prompts-0"}, "train it again"),
    ],
)
def test_an_adapter_made_for_something_else_is_refused(
    root: Path, adapter_copy: Path, changes: dict[str, Any], says: str
) -> None:
    stored = json.dumps(record(root / "base", **changes))
    (adapter_copy / "adapter_record.json").write_text(stored)
    with pytest.raises(MismatchError, match=says):
        load_model(root / "base", adapter_copy, device="cpu")


def test_an_adapter_of_a_base_that_lies_elsewhere_now_asks_no_hub(
    root: Path, adapter_copy: Path
) -> None:
    settings = json.loads((adapter_copy / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = "gone/model"
    (adapter_copy / "adapter_config.json").write_text(json.dumps(settings))
    assert load_model(root / "base", adapter_copy, device="cpu")  # a warning would be an error


@pytest.mark.parametrize("broken", ["{", "[]", '{"base_model": 1}'])
def test_a_broken_record_is_refused(root: Path, adapter_copy: Path, broken: str) -> None:
    (adapter_copy / "adapter_record.json").write_text(broken)
    with pytest.raises(UserError, match="adapter_record"):
        load_model(root / "base", adapter_copy, device="cpu")
    with pytest.raises(UserError):
        AdapterRecord.read(adapter_copy)


def test_an_adapter_of_other_layers_is_refused(root: Path, adapter_copy: Path) -> None:
    settings = json.loads((adapter_copy / "adapter_config.json").read_text())
    for change in (
        {"r": 2},
        {"target_modules": ["q_proj"]},
        {"target_modules": ["none_such"]},
        {"target_modules": r".*language_model.*q_proj"},  # leaves most of the weights over
    ):
        (adapter_copy / "adapter_config.json").write_text(json.dumps(settings | change))
        with pytest.raises(MismatchError, match="does not fit the layers"):
            load_model(root / "base", adapter_copy, device="cpu")


def test_broken_adapter_files_are_refused(root: Path, adapter_copy: Path) -> None:
    weights = adapter_copy / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="make the adapter again"):
        load_model(root / "base", adapter_copy, device="cpu")
    weights.unlink()
    with pytest.raises(NotFoundError, match="no adapter"):
        load_model(root / "base", adapter_copy, device="cpu")


def test_an_adapter_is_no_model(root: Path) -> None:
    with pytest.raises(NotFoundError, match="pass it as the adapter"):
        load_model(root / "adapter", device="cpu")


def test_a_folder_that_is_no_mllama_model_is_refused(copy: Path) -> None:
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(settings | {"model_type": "llama"}))
    with pytest.raises(UserError, match="type 'llama'"):
        load_model(copy, device="cpu")
    (copy / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        load_model(copy, device="cpu")
    (copy / "config.json").unlink()
    with pytest.raises(NotFoundError, match="no model"):
        load_model(copy, device="cpu")
    with pytest.raises(UserError, match="is a file"):
        load_model(copy / "tokenizer.json", device="cpu")


def test_a_config_that_builds_no_model_is_refused(copy: Path) -> None:
    settings = json.loads((copy / "config.json").read_text())
    settings["text_config"]["num_hidden_layers"] = "four"
    (copy / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="describes no model"):
        load_model(copy, device="cpu")


def test_weights_that_are_cut_off_or_missing_are_refused(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"weights of .* cannot be read"):
        load_model(copy, device="cpu")
    weights.unlink()
    with pytest.raises(NotFoundError, match="no weights"):
        load_model(copy, device="cpu")


def test_a_layer_without_weights_is_refused(copy: Path) -> None:
    settings = json.loads((copy / "config.json").read_text())
    settings["text_config"]["num_hidden_layers"] = 5
    (copy / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=r"lacks \d+ weights"):
        load_model(copy, device="cpu")


def test_weights_of_another_shape_are_refused(copy: Path) -> None:
    settings = json.loads((copy / "config.json").read_text())
    settings["text_config"]["intermediate_size"] = 256
    (copy / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="cannot be read"):
        load_model(copy, device="cpu")


def test_a_model_without_a_chat_template_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'][-1]['text'] }}")
    with pytest.raises(UserError, match="shows no image"):
        load_model(copy, device="cpu")
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="Instruct model"):
        load_model(copy, device="cpu")


def test_other_ways_to_quantize_are_refused(copy: Path) -> None:
    settings = json.loads((copy / "config.json").read_text())
    settings["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (copy / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="'gptq'"):
        load_model(copy, device="cpu")


def test_a_model_larger_than_the_memory_is_refused_before_it_is_read(copy: Path) -> None:
    settings = json.loads((copy / "config.json").read_text())
    settings["text_config"]["vocab_size"] = 10**10
    (copy / "config.json").write_text(json.dumps(settings))
    with pytest.raises(TooLargeError, match=r"5120\.\d GB .* smaller model"):
        load_model(copy, device="cpu")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (GatedRepoError, "licence.*hf auth login"),
        (RepositoryNotFoundError, "no adapter of that name"),
    ],
)
def test_what_a_hub_refuses_is_pieces_with_the_cure(
    error: type[Exception], says: str, tmp_path: Path
) -> None:
    response = SimpleNamespace(headers={}, request=None)

    def refuse(*_: Any, **__: Any) -> str:
        raise error("refused", response=response)  # type: ignore[call-arg]

    with pytest.raises(UserError, match=says):
        find_folder("someone/model", what="adapter", download=refuse)


def test_the_shipped_model_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_folder("pretrained/generator") == ROOT / "pretrained" / "generator"
    assert Calibration.of("pretrained/generator/adapter").fitted_on != "nothing"
    assert load_model("pretrained/generator").adapter == "pretrained/generator/adapter"
    (tmp_path / "pretrained" / "generator").mkdir(parents=True)
    assert find_folder("pretrained/generator").resolve().is_relative_to(tmp_path)


@pytest.mark.parametrize("error", [LocalEntryNotFoundError, OSError])
def test_a_hub_out_of_reach_is_pieces(error: type[Exception]) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise error("no connection")

    with pytest.raises(NotFoundError, match=r"no folder someone/model.*check the name"):
        find_folder("someone/model", download=fail)


def test_a_name_that_no_hub_can_have_is_pieces() -> None:
    with pytest.raises(NotFoundError, match="check the name"):
        find_folder("no/such/folder")


def test_what_is_fetched_holds_no_code(tmp_path: Path) -> None:
    asked = {}

    def download(name: str, **options: Any) -> str:
        asked[name] = options
        return str(tmp_path)

    assert find_folder("someone/model", download=download) == tmp_path
    patterns = asked["someone/model"]["allow_patterns"]
    assert "*.safetensors" in patterns and not any(".py" in p or ".bin" in p for p in patterns)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device": "tpu"}, "device 'tpu'"),
        ({"device": "mps"}, "cpu or cuda"),
        ({"device": "cuda:99"}, "GPU|cuda:99"),
        ({"quantization": "nf4", "device": "cpu"}, "needs a GPU"),
        ({"quantization": "int3"}, "int3"),
    ],
)
def test_devices_and_quantizations_that_are_not_there_are_pieces(
    root: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        load_model(root / "base", **options)


@pytest.mark.gpu
@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_on_a_gpu_logits_are_those_of_transformers(root: Path, quantization: Quantization) -> None:
    model = load_model(root / "base", root / "adapter", device="cuda", quantization=quantization)
    prompt = image_prompt("Describe this film.", tiles=1)
    row = model.prompt_tokens(prompt)
    processor: Any = MllamaProcessor.from_pretrained(root / "base")
    text = processor.tokenizer.decode(row)
    inputs = processor(
        images=[[prompt.image]], text=text, add_special_tokens=False, return_tensors="pt"
    )
    with torch.no_grad():
        expected = model.decoder.model(**inputs.to("cuda")).logits[0, -1].float()
    _, logits = model.decoder.prefill([row], model.encode_image([prompt.image]), room=0)
    similarity = torch.cosine_similarity(logits[0], expected, dim=0)
    assert float(similarity) > 0.99
    assert "".join(model.stream(prompt, SHORT)) == model.generate([prompt], SHORT)[0]
