"""Settings of every command that takes them: given twice, NaN, infinite, or in two ways."""

from collections.abc import Callable
from typing import Any

import pytest

from db.errors import UserError
from finetune.__main__ import main
from finetune.__main__ import parser as finetune_parser
from finetune.adapter.config import TrainConfig
from finetune.encoder.config import EncoderConfig
from finetune.training.settings import read_settings
from indexer.cli.parser import Parser
from recipes.small_mllama.__main__ import _parser as recipe_parser
from recipes.small_mllama.config import CutConfig, SmallMllamaConfig


@pytest.mark.parametrize(
    ("parser", "verb"),
    [(finetune_parser, ["train"]), (finetune_parser, ["encoder"]), (recipe_parser, [])],
)
def test_set_given_twice_adds_up(parser: Callable[[], Any], verb: list[str]) -> None:
    given = [*verb, "--set", "rank=4", "alpha=8", "--set", "max_steps=1"]
    assert parser().parse_args(given).set == ["rank=4", "alpha=8", "max_steps=1"]
    assert parser().parse_args(verb).set == []
    assert parser().parse_args(verb).set == []  # the default is not added to


def test_any_option_with_a_list_adds_up_and_replaces_its_default() -> None:
    parser = Parser()
    parser.add_argument("--names", nargs="+", default=["a"])
    parser.add_argument("--one", type=int)
    parser.add_argument("more", nargs="*")
    assert parser.parse_args([]).names == ["a"]
    found = parser.parse_args(["x", "--names", "b", "c", "--names", "d", "--one", "1", "--one=2"])
    assert (found.names, found.one, found.more) == (["b", "c", "d"], 2, ["x"])


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize(
    ("config", "name"),
    [
        (TrainConfig, "weight_decay"),
        (TrainConfig, "max_grad_norm"),
        (TrainConfig, "lr"),
        (EncoderConfig, "lr"),
        (EncoderConfig, "choice_weight"),
        (SmallMllamaConfig, "max_seconds"),
        (SmallMllamaConfig, "distil_lr"),
    ],
)
def test_nan_and_infinity_are_refused(config: type[Any], name: str, text: str) -> None:
    with pytest.raises(UserError, match=rf"{name} cannot be .*: use a finite number"):
        read_settings(config, [f"{name}={text}"])
    with pytest.raises(UserError, match="use a finite number"):
        config(**{name: float(text)})
    read_settings(CutConfig, [])


@pytest.mark.parametrize("text", ["nan", "inf", "0", "-3", "soon"])
def test_a_time_limit_is_a_finite_number_above_0(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        finetune_parser().parse_args(["train", "--max-seconds", text])
    assert "invalid seconds value" in capsys.readouterr().err


def test_a_flag_and_a_setting_that_disagree_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["train", "--dataset", "none", "--lr", "0.1", "--set", "lr=0.2", "--dry-run"]
    assert main(given) == 1
    assert "--lr 0.1 and --set lr=0.2 disagree: give one" in capsys.readouterr().err


def test_dora_is_trained_by_peft_alone() -> None:
    with pytest.raises(UserError, match="trains no DoRA: use --backend peft"):
        TrainConfig(backend="unsloth", dora=True)
    resolved = TrainConfig(dora=True).resolved(gpu=True, bfloat16=True, unsloth=True)
    assert resolved.backend == "peft"
