#!/usr/bin/env bash
# transformers 5.24.0: a gap in position_ids cuts attention. Without an attention mask and without a cache, a model of rows
# whose positions are not consecutive takes these for several texts that were packed into one row, and no token sees what
# is before the gap. With a mask of ones, or with the default use_cache=True, the same call attends to everything. So
# sentences whose positions were kept when tokens were left out are embedded as fragments, without a message.
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "torch==2.13.0" "transformers==5.24.0" 2>/dev/null
cat > "$folder/show.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from transformers import LlamaConfig, LlamaForCausalLM

print("transformers", version("transformers"), "torch", version("torch"))
torch.manual_seed(0)
sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
model = LlamaForCausalLM(LlamaConfig(vocab_size=20, **sizes)).eval()
ids = torch.tensor([[3, 4, 5, 6, 7, 8]])
other = torch.tensor([[9, 9, 9, 6, 7, 8]])  # other tokens before the gap


def last(tokens, positions, **options):
    with torch.no_grad():
        return model(tokens, position_ids=torch.tensor([positions]), **options).logits[0, -1]


def seen(positions, **options):
    """How much the last token depends on the first three."""
    return float((last(ids, positions, **options) - last(other, positions, **options)).abs().max())


whole, gap, mask = [0, 1, 2, 3, 4, 5], [0, 1, 2, 4, 5, 6], torch.ones_like(ids)
found = {
    "consecutive positions, no cache": seen(whole, use_cache=False),
    "a gap, no cache": seen(gap, use_cache=False),
    "a gap, no cache, a mask of ones": seen(gap, use_cache=False, attention_mask=mask),
    "a gap, with the default cache": seen(gap),
}
for name, change in found.items():
    print(f"{name}: the last token's logits move by {change:.4f} when the first three tokens are others")
cut = found.pop("a gap, no cache")
sys.exit(0 if cut == 0 and min(found.values()) > 1e-3 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
