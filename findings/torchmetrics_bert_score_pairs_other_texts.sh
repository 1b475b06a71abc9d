#!/usr/bin/env bash
# torchmetrics 1.9.0: bert_score compares texts with other texts than their partners. Predictions and targets are each sorted
# by their own lengths, so where lengths differ within a pair, the score of a pair is another one among other pairs than
# in a call of its own. Where every prediction is as long as its target, or there is one pair a call, scores are right.
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


def moved(predictions, targets):
    together = f1(predictions, targets)
    alone = torch.cat([f1([one], [other]) for one, other in zip(predictions, targets)])
    for one, other, a, b in zip(predictions, targets, alone, together):
        print(f"  {one!r} and {other!r}: F1 {a:.3f} alone, {b:.3f} among the others")
    return float((alone - together).abs().max())


targets = ["naive regulatory T cell of blood", "B cell", "NK cell", "memory T cell"]
print("lengths differ:")
differ = moved(["B cell", "naive T cell", "NK cell of blood", "T cell"], targets)
print("lengths are the same:")
same = moved(["memory naive T cell of blood", "T cell", "B cell", "naive B cell"], targets)
sys.exit(0 if differ > 0.05 and same < 1e-4 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
