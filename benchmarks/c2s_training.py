"""Training of a tiny language model on cell sentences, beside trl's SFTTrainer on the same rows, in one run.

    python benchmarks/c2s_training.py [--examples 400] [--genes 2000] [--at-least 2]

Both start from the same weights and see every row once. Counted are tokens of answers, which are what is taught, a
second. SFTTrainer runs with its defaults (batches of 8 rows in their own order, padded to the longest; bfloat16 and
gradient checkpointing on, on a CPU too), and once more with both of these off, which is the harder comparison. Rows are
those of three tasks: a type of a cell of up to 200 genes, such a cell of a type, and the tissue of up to five cells.
A second set holds rows of the first task and of one length only, where batches by length gain nothing.
"""

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Callable

import numpy as np

from tcellmil.c2s._language_model import LanguageModel
from tcellmil.c2s._models._scratch import from_scratch
from tcellmil.c2s._training._token_rows import IGNORE, TokenRows
from tcellmil.c2s._training._train import train_rows
from tcellmil.c2s._training._train_config import LanguageTraining

TYPES = [f"type {i}" for i in range(10)]
PROMPTS = ["The genes of a cell from high to low: is of", "A cell of", "Cells of one tissue: it is"]


def tiny_model(n_genes: int) -> LanguageModel:
    return from_scratch([f"G{i}" for i in range(n_genes)], [*PROMPTS, *TYPES], size="tiny", context=1100)


def tasks(lm: LanguageModel, n: int, rng: np.random.Generator) -> TokenRows:
    """A third of each task; in seven of ten cells, more genes are expressed than a sentence takes."""
    of_text = {text: lm.tokenizer.encode(text, add_special_tokens=False) for text in (*PROMPTS, *TYPES)}

    def cell() -> list[int]:
        n_genes = int(np.clip(rng.normal(240, 80), 30, 200))
        return (3 + rng.choice(len(lm.words), n_genes, replace=False)).tolist()

    rows = []
    for i in range(n):
        label = of_text[TYPES[rng.integers(len(TYPES))]]
        if i % 3 == 0:
            rows.append(([*of_text[PROMPTS[0]], *cell()], label))
        elif i % 3 == 1:
            rows.append(([*of_text[PROMPTS[1]], *label], cell()))
        else:
            cells = [token for _ in range(rng.integers(2, 6)) for token in cell()]
            rows.append(([*of_text[PROMPTS[2]], *cells], label))
    return joined(lm, rows)


def one_length(lm: LanguageModel, n: int, rng: np.random.Generator) -> TokenRows:
    cells = [(3 + rng.choice(len(lm.words), 200, replace=False)).tolist() for _ in range(n)]
    label = lm.tokenizer.encode(TYPES[0], add_special_tokens=False)
    return joined(lm, [(cell, label) for cell in cells])


def joined(lm: LanguageModel, rows: list[tuple[list[int], list[int]]]) -> TokenRows:
    ids = [prompt + answer + [lm.eos_id] for prompt, answer in rows]
    labels = [[IGNORE] * len(prompt) + answer + [lm.eos_id] for prompt, answer in rows]
    return TokenRows.of(ids, labels)


def measured(run: Callable[[], object]) -> np.ndarray:
    """Seconds, and seconds of all cores together: the latter differ less on a machine that others use too."""
    start = np.array([time.perf_counter(), time.process_time()])
    run()
    return np.array([time.perf_counter(), time.process_time()]) - start


def ours(lm: LanguageModel, rows: TokenRows) -> np.ndarray:
    training = LanguageTraining(max_epochs=1, lr=1e-4)
    return measured(lambda: train_rows(lm, rows, None, training, accelerator="cpu", progress=False))


def theirs(lm: LanguageModel, rows: TokenRows, **options) -> np.ndarray:
    """Of the training itself; what SFTTrainer does before it is left out."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    bounds = list(zip(rows.starts[:-1], rows.starts[1:], strict=True))
    columns = {"input_ids": rows.input_ids, "labels": rows.labels}
    data = Dataset.from_dict({name: [v[a:b].tolist() for a, b in bounds] for name, v in columns.items()})
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            num_train_epochs=1,
            learning_rate=1e-4,
            max_length=None,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            logging_strategy="no",
            **options,
        )
        trainer = SFTTrainer(lm.model, args=config, train_dataset=data, processing_class=lm.tokenizer)
        trainer.remove_callback(PrinterCallback)
        return measured(trainer.train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=400)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--at-least", type=float, default=2.0, help="times SFTTrainer's default, or an error")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("transformers").setLevel("ERROR")
    plain = {"bf16": False, "gradient_checkpointing": False}
    ratios = []
    for name, make in (("three tasks", tasks), ("one task, one length", one_length)):
        lm = tiny_model(arguments.genes)
        rows = make(lm, arguments.examples, np.random.default_rng(0))
        few = make(lm, 16, np.random.default_rng(1))
        n = int(rows.n_answer.sum())
        print(f"{name}: {len(rows)} rows, {rows.lengths.sum():,} tokens of which {n:,} are of answers")
        runs = {
            "tcellmil": ours,
            "SFTTrainer, default": theirs,
            "SFTTrainer, float32, no checkpointing": lambda lm, rows: theirs(lm, rows, **plain),
        }
        speed = {}
        for routine, run in runs.items():
            run(tiny_model(arguments.genes), few)  # what happens once only
            speed[routine] = n / run(tiny_model(arguments.genes), rows)
            times, of_cores = speed["tcellmil"] / speed[routine]
            per_second, per_core_second = speed[routine]
            print(f"  {routine:38s} {per_second:7.0f} answer tokens/s ({times:.1f} x)", end="")
            print(f", {per_core_second:7.0f} per second of a core ({of_cores:.1f} x)", flush=True)
        ratios.append(speed["tcellmil"] / speed["SFTTrainer, default"])
    if (ratios[0] < arguments.at_least).any():
        raise RuntimeError(f"{ratios[0].round(2)} times SFTTrainer's default padding, expected {arguments.at_least}")


if __name__ == "__main__":
    main()
