"""The parts that a written-out training step is made of, each alone."""

from typing import Any

import bitsandbytes
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from finetune.adapter.backends import load_trainable
from finetune.fused import elementwise
from finetune.fused.elementwise import Kernels
from finetune.fused.image_features import _Kept
from finetune.fused.linear import JointLinear, Scratch
from tests.support.models.training import CONFIG, quiet, tiny_base

pytestmark = quiet
CLOSE = {"rtol": 2e-4, "atol": 2e-5}


def test_lora_is_rounded_as_peft_rounds_it() -> None:
    """Of a first step in bfloat16 less than half is left, whose losses are compared with peft."""
    draw = torch.Generator().manual_seed(0)
    base = nn.Linear(512, 1024, bias=False, dtype=torch.bfloat16)
    base.weight.data.normal_(0, 0.04, generator=draw)
    model: Any = get_peft_model(
        nn.ModuleDict({"0": base}),
        LoraConfig(r=16, lora_alpha=16, target_modules=["0"]),
        autocast_adapter_dtype=False,
    )
    layer = model.base_model.model["0"]
    layer.lora_B["default"].weight.data.copy_(2e-4 * torch.randn(1024, 16, generator=draw).sign())
    joint = JointLinear([layer], Scratch(), "a", torch.bfloat16)
    for to, given in joint.casts():
        to.copy_(given)
    inputs = torch.randn(64, 512, generator=draw).bfloat16()
    found = joint.forward(inputs)[0].float()
    a, b = (
        layer.lora_A["default"].weight.data.float(),
        layer.lora_B["default"].weight.data.float(),
    )
    exact, added = inputs.float() @ base.weight.float().t(), inputs.float() @ a.t() @ b.t()

    def share(outputs: Tensor) -> float:
        return float(((outputs - exact) * added).sum() / added.square().sum())

    expected = share(layer(inputs).detach().float())
    assert share(found) == pytest.approx(expected, abs=0.05) and expected < 0.6


def test_lora_too_small_for_the_residual_is_not_rounded_away(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A first step changes outputs by less than the distance of two bfloat16 numbers."""
    scratch = Scratch()
    layer: Any = load_trainable(str(tiny_base(tmp_path_factory)), CONFIG, torch.device("cpu")).model
    linear = layer.get_base_model().model.language_model.layers[0].mlp.down_proj
    draw = torch.Generator().manual_seed(0)
    linear.base_layer.weight.data.normal_(0, 0.02, generator=draw)
    linear.lora_B["default"].weight.data.fill_(3e-4)
    linear.lora_A["default"].weight.data.fill_(0.1)
    wide = JointLinear([linear], scratch, "a", torch.float32)
    half = JointLinear([linear], scratch, "b", torch.bfloat16)
    for joint in (wide, half):
        for to, given in joint.casts():
            to.copy_(given)
    inputs = torch.rand(4096, wide.inputs, generator=draw).bfloat16()
    residual = (3 * torch.randn(4096, wide.outputs, generator=draw)).bfloat16()
    exact = wide.forward(inputs.float(), residual.float())[0]
    error = (half.forward(inputs, residual)[0].float() - exact).mean()
    added = (wide.forward(inputs.float())[0] - inputs.float() @ wide.weight().t()).mean()
    assert added > 0.001 and abs(float(error)) < 0.1 * float(added)


def test_backward_functions_are_the_gradients_of_forward_functions() -> None:
    draw = torch.Generator().manual_seed(0)

    def made(*shape: int, grad: bool = False) -> Tensor:
        values = torch.randn(*shape, generator=draw, dtype=torch.float32)
        return values.requires_grad_(grad)

    hidden, weight, d = made(5, 8, grad=True), made(8), made(5, 8)
    elementwise.norm(hidden, weight, 1e-5).backward(d)
    got = elementwise.norm_backward(hidden.detach(), weight, 1e-5, d, torch.ones(5, 8))
    torch.testing.assert_close(got - 1, hidden.grad, **CLOSE)
    heads, dheads = made(2, 3, 4, 8, grad=True), made(2, 3, 4, 8)
    elementwise.head_norm(heads, weight, 1e-5).backward(dheads)
    got = elementwise.head_norm_backward(heads.detach(), weight, 1e-5, dheads)
    torch.testing.assert_close(got, heads.grad, **CLOSE)
    gate_up = made(5, 16, grad=True)
    gated = elementwise.gated(gate_up)
    gated.backward(d)
    dgate_up, again = elementwise.gated_backward(gate_up.detach(), d)
    torch.testing.assert_close(dgate_up, gate_up.grad, **CLOSE)
    torch.testing.assert_close(again, gated.detach(), **CLOSE)
    heads, cos, sin, dheads = (
        made(2, 3, 6, 4, grad=True),
        *(made(1, 3, 1, 4),) * 2,
        made(2, 3, 6, 4),
    )
    elementwise.rotate(heads, cos, sin, 2).backward(dheads)
    got = elementwise.rotate_backward(dheads, cos, sin, 2)
    torch.testing.assert_close(got, heads.grad, **CLOSE)


def test_a_compiled_function_returns_what_it_returns_as_it_is() -> None:
    """One of them, since a compiler of C++ takes its time."""
    gate_up, dgated = torch.randn(6, 32), torch.randn(6, 16)
    found = Kernels(compiled=True).gated_backward(gate_up, dgated)
    expected = Kernels(compiled=False).gated_backward(gate_up, dgated)
    assert Kernels(compiled=False).gated_backward is elementwise.gated_backward
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_features_that_do_not_fit_are_dropped_longest_unused_first() -> None:
    kept = _Kept(3 * 4)
    for number in range(3):
        kept.put(number, torch.full((1,), float(number)))
    kept.get(0)
    kept.put(3, torch.zeros(1))
    assert [number in kept for number in range(4)] == [True, False, True, True]
    kept.put(4, torch.zeros(9))
    assert 4 not in kept


@pytest.mark.parametrize("outputs", [96, 40])
def test_stored_weights_and_lora_give_the_outputs_of_peft(outputs: int) -> None:
    torch.manual_seed(0)
    layers: Any = nn.ModuleList(
        bitsandbytes.nn.Linear4bit(64, size, bias=False, compute_dtype=torch.float32)
        for size in (outputs, 24)
    )
    model: Any = get_peft_model(
        nn.ModuleDict({"layers": layers}).to("cpu"),
        LoraConfig(r=3, lora_alpha=5, target_modules=["0", "1"], init_lora_weights=False),
    )
    adapted = list(model.base_model.model["layers"])
    joint = JointLinear(adapted, Scratch(), "a", torch.float32)
    for to, given in joint.casts():
        to.copy_(given)
    joint.scale()
    inputs, doutputs = torch.randn(5, 64, requires_grad=True), torch.randn(5, outputs + 24)
    expected = torch.cat([layer(inputs) for layer in adapted], dim=1)
    expected.backward(doutputs)
    found, inner = joint.forward(inputs.detach())
    torch.testing.assert_close(found, expected.detach(), **CLOSE)
    dinputs, gradients = joint.backward(inputs.detach(), inner, doutputs)
    torch.testing.assert_close(dinputs, inputs.grad, **CLOSE)
    for weight, gradient in zip(joint.parameters, gradients, strict=True):
        torch.testing.assert_close(gradient, weight.grad, **CLOSE)
