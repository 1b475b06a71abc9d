#!/usr/bin/env bash
# torchmetrics 1.9.0: bert_score compares texts with other texts than their partners, and gives scores in another order.
# Predictions and targets are each sorted by their own lengths. Where every prediction is as long as its target, the scores
# are those of the pairs, in another order; where lengths differ within a pair, they are those of other pairs. One pair a
# call is right.
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "torchmetrics==1.9.0" "torch==2.13.0" "transformers==5.24.0" 2>/dev/null
cat > "$folder/show.py" <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torchmetrics.functional.text import bert_score
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

warnings.simplefilter("ignore")
print("torchmetrics", version("torchmetrics"), "transformers", version("transformers"))
words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "B", "T", "NK", "cell", "naive", "memory", "regulatory", "of", "blood"]
core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
around = [("[CLS]", 1), ("[SEP]", 2)]
core.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
marks = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=32, **marks)
torch.manual_seed(0)
sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
model = BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=40, **sizes)).eval()
options = {"model": model, "user_tokenizer": tokenizer, "max_length": 32, "num_layers": 2}


def f1(predictions, targets):
    return torch.as_tensor(bert_score(predictions, targets, **options)["f1"]).reshape(-1)


def scores(predictions, targets):
    together = f1(predictions, targets)
    alone = torch.cat([f1([one], [other]) for one, other in zip(predictions, targets)])
    for one, other, a, b in zip(predictions, targets, alone, together):
        print(f"  {one!r} and {other!r}: F1 {a:.3f} alone, {b:.3f} among the others")
    return alone, together


def moved(alone, together):
    return float((alone - together).abs().max())


targets = ["naive regulatory T cell of blood", "B cell", "NK cell", "memory T cell"]
print("lengths differ within pairs:")
alone, together = scores(["B cell", "naive T cell", "NK cell of blood", "T cell"], targets)
others = moved(alone.sort().values, together.sort().values)
print("lengths are the same within pairs:")
alone, together = scores(["memory naive T cell of blood", "T cell", "B cell", "naive B cell"], targets)
same, in_order = moved(alone.sort().values, together.sort().values), moved(alone, together)
print(f"sorted scores differ by {others:.3f} and {same:.3f}; in their order by {in_order:.3f} where lengths are the same")
sys.exit(0 if others > 0.02 and same < 1e-4 and in_order > 0.02 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
