"""A tiny Mllama model in bfloat16 or NF4, with or without LoRA beside its weights.

model = mllama_in_memory(nf4=True, rank=4)
"""

import warnings
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import BitsAndBytesConfig, MllamaConfig, MllamaForConditionalGeneration

IMAGE_TOKEN = 40


def mllama_in_memory(*, nf4: bool, rank: int, device: str = "cpu") -> Any:
    """A layer of self-attention and one of cross-attention, random weights in bfloat16."""
    torch.manual_seed(0)
    config = MllamaConfig(
        text_config={
            "vocab_size": 128,
            "hidden_size": 256,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "cross_attention_layers": [1],
            "pad_token_id": 0,
        },
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_global_layers": 1,
            "attention_heads": 2,
            "intermediate_size": 32,
            "image_size": 28,
            "patch_size": 14,
            "vision_output_dim": 64,
            "intermediate_layers_indices": [0],
        },
        image_token_index=IMAGE_TOKEN,
    )
    model: Any = MllamaForConditionalGeneration(config)
    for name, weight in model.named_parameters():
        if "gate" in name and weight.numel() == 1:
            weight.data.fill_(0.7)
        elif "norm" in name:
            weight.data.normal_(1, 0.2)
        else:
            weight.data.normal_(0, 0.06)
    model = model.to(torch.bfloat16)
    if nf4:
        model = MllamaForConditionalGeneration.from_pretrained(
            None,
            config=model.config,
            state_dict=model.state_dict(),
            dtype=torch.bfloat16,
            device_map={"": torch.device(device)},
            quantization_config=BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16,
                llm_int8_skip_modules=["lm_head", "multi_modal_projector", "vision_model"],
            ),
        )
    if rank:
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=r".*language_model.*_proj")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            model = get_peft_model(model, lora).get_base_model()
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.data.normal_(0, 0.05)
    return model.eval().requires_grad_(False).to(device)
