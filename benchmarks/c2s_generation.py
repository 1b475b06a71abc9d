"""Writing cell sentences: with and without what is kept of tokens read, and with and without the rule of whole genes.

    python benchmarks/c2s_generation.py [--cells 64] [--genes 200] [--vocabulary 2000]

All ways take turns in one run, on the same tiny model with random weights and the same prompts. Without cache, every
token is read again for every further one: the same code, but for the class that reads.
"""

import argparse
import statistics
import time
from unittest import mock

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tcellmil.c2s import generate_sentences
from tcellmil.c2s._answers import _generate
from tcellmil.c2s._answers._forward import pad, positions


class ReaderWithoutCache:
    """Reads all tokens again at every step."""

    def __init__(self, model, prompts, room=0):
        self._model = model
        self._ids, self._mask = pad(prompts, "left", model.device)
        self.logits = self._run()[:, 0]

    def read(self, ids):
        self._ids = torch.cat([self._ids, ids], dim=1)
        self._mask = torch.cat([self._mask, torch.ones_like(ids)], dim=1)
        return self._run()

    def keep(self, rows):
        self._ids, self._mask = self._ids[rows], self._mask[rows]

    def _run(self):
        how = {"attention_mask": self._mask, "position_ids": positions(self._mask)}
        return self._model(self._ids, **how, use_cache=False, logits_to_keep=1).logits.float()


def tiny(n_words: int) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast, list[str]]:
    """Two layers of 64, and a tokenizer of which each gene is a token."""
    genes = [f"GENE{i}" for i in range(n_words)]
    talk = "Write the genes of a cell from high to low :".split()
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["</s>", "[UNK]", *talk, *genes])}, "[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]")
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes, max_position_embeddings=1024))
    return model.eval(), tokenizer, genes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--vocabulary", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model, tokenizer, genes = tiny(arguments.vocabulary)
    # No early end: all ways write the same number of tokens.
    bias = torch.zeros(len(tokenizer))
    bias[0] = -1000
    model.lm_head.register_forward_hook(lambda module, inputs, output: output + bias)
    prompts = [tokenizer("Write the genes of a cell from high to low :")["input_ids"]] * arguments.cells

    def seconds(constrain: bool, reader: type | None = None) -> tuple[float, object]:
        start = time.perf_counter()
        with mock.patch.object(_generate, "Reader", reader or _generate.Reader):
            found = generate_sentences(model, tokenizer, prompts, genes, n_genes=arguments.genes, constrain=constrain)
        return time.perf_counter() - start, found

    seconds(True), seconds(False)  # warm
    free, whole = [], []
    for _ in range(arguments.repeats):
        free.append(seconds(False)[0])
        took, found = seconds(True)
        whole.append(took)
    without, same = seconds(True, ReaderWithoutCache)
    n_repeated = sum(len(row) - len(np.unique(row)) for row in found.ids)
    extra = statistics.median(w / f for w, f in zip(whole, free, strict=True)) - 1
    print(f"{arguments.cells} cells x {arguments.genes} genes of {arguments.vocabulary}, {arguments.threads} threads")
    print(f"with cache     {min(whole):7.2f} s  ({arguments.cells / min(whole):.0f} cells/s)")
    is_same = np.array_equal(same.ids, found.ids)
    print(f"without cache  {without:7.2f} s  {without / min(whole):.1f} x; the same genes: {is_same}")
    print(f"free text      {min(free):7.2f} s  whole genes cost {extra:+.1%}")
    print(f"whole genes    {(found.ids < 0).sum()} missing or unknown, {n_repeated} repeated")
    assert (found.ids >= 0).all() and n_repeated == 0
    assert without / min(whole) >= 8, "the cache must save 8 times"
    assert extra < 0.10, "whole genes must cost less than 10%"


if __name__ == "__main__":
    main()
