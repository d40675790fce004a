"""The README of an adapter: what it is, what it was trained on, and on whose terms it stands."""

from finetune.export.licence import BaseLicence
from generator.mllama.adapter_record import AdapterRecord

CARD = "README.md"


def adapter_card(record: AdapterRecord, licence: BaseLicence, *, merged: bool = False) -> str:
    """Of an adapter, or of the weights that it was merged into."""
    config = record.config
    scored = "not measured" if record.val_loss is None else f"{record.val_loss:.4f}"
    layers = [name for name in ("vision", "language", "attention", "mlp") if config[name]]
    kind = "".join(f"{name}, " for name in ("rslora", "dora") if config.get(name))
    kind_of_weights = "model" if merged else "adapter"
    if not licence.llama:
        kind_of_weights = kind_of_weights.capitalize()
    rest = (
        ". An adapter was merged into the weights of its base model."
        if merged
        else " and is refused under another\nversion. `adapter_record.json` holds the same facts "
        "for machines."
    )
    facts = {
        "base model": f"`{record.base_model}` (weights {record.base_sha256[:12]})",
        "prompts": f"`{record.prompt_version}`",
        "index": f"`{(record.index_fingerprint or 'none')[:12]}`",
        "training data": f"`{record.data_sha256[:12]}`",
        "LoRA": f"{kind}rank {config['rank']}, alpha {config['alpha']}, {', '.join(layers)}",
        "trained": f"{record.step} steps, backend {config['backend']}, bits {config['bits']}",
        "validation loss": scored,
        "packages": ", ".join(f"{name} {version}" for name, version in record.packages.items()),
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return f"""---
base_model: {record.base_model}
{"base_model_relation: merge" if merged else "library_name: peft"}
license: {"llama3.2" if licence.llama else (licence.name or "other")}
tags: [lora, radiology, chest-x-ray]
---

# {"Llama 3.2 Vision " if licence.llama else ""}{kind_of_weights} for grounded chest X-ray reports

**Research use only: not a medical device, not for clinical decisions.** It writes sentences that
cite the prior cases shown in the prompt; they can be wrong of this patient.

| | |
|---|---|
{table}

It answers to prompts of this project's `{record.prompt_version}`{rest}

## Terms

{licence.terms()} What it was trained on has terms of its own, which may forbid commercial use.
"""
