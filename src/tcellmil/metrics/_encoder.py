"""Tokens of texts as contextual embeddings of a model on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tcellmil._checks import check_count
from tcellmil._log import warn

NEEDS_TRANSFORMERS = 'an encoder from a folder needs transformers: pip install "tcellmil[c2s]"'


class LocalEncoder:
    """An encoder of tokens from a folder, for :func:`bert_score`.

    Any model of transformers with hidden states will do: BERT and its relatives (BioBERT is what the paper scores
    answers with), or a language model. Nothing is downloaded, no code of the folder is run, and weights are read from
    safetensors only.

    Parameters
    ----------
    path
        Folder with the model and its tokenizer, as ``save_pretrained`` or ``huggingface_hub.snapshot_download`` writes
        it.
    layer
        Which hidden states: -1 is the last layer, 0 the embeddings before the first.
    batch_size
        Texts of one pass, at least 1.

    Raises
    ------
    ImportError
        If transformers is not installed.
    ValueError
        If there is no such folder, or the model has no such layer.

    Examples
    --------
    >>> from tcellmil.metrics import LocalEncoder, bert_score
    >>> encoder = LocalEncoder("biobert", layer=-2)  # doctest: +SKIP
    >>> bert_score(["CD4 T cell"], ["helper T cell"], encoder)  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, *, layer: int = -1, batch_size: int = 32):
        self.batch_size = check_count(batch_size, "batch_size")
        self.path, self.layer = Path(path), layer
        if not self.path.is_dir():
            raise ValueError(
                f"encoder={str(path)!r} is no folder here; download the model where there is a network, "
                "huggingface_hub.snapshot_download(name, local_dir=folder), and pass that folder"
            )
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise ImportError(NEEDS_TRANSFORMERS) from error
        options = {"local_files_only": True, "trust_remote_code": False}
        self.tokenizer = AutoTokenizer.from_pretrained(str(self.path), **options)
        self.model = AutoModel.from_pretrained(str(self.path), use_safetensors=True, **options).eval()
        n_layers = self.model.config.get_text_config().num_hidden_layers
        if not -n_layers - 1 <= layer <= n_layers:
            raise ValueError(f"layer={layer} is not there; the model has layers 1 to {n_layers}, and 0 before them")

    def __call__(self, texts: list[str]) -> list[np.ndarray]:
        """Embeddings of the tokens of each text, ``(n_tokens, n_features)`` float32, without special tokens.

        A text that is longer than the model can read is cut at its end, with a warning.
        """
        tokens = [self._ids(text) for text in texts]
        n_cut = sum(cut for *_, cut in tokens)
        if n_cut:
            warn(f"{n_cut} of {len(texts)} texts are longer than the {self._longest} tokens that the encoder reads")
        found: list[np.ndarray] = [np.empty(0)] * len(texts)
        for rows in self._batches([len(ids) for ids, *_ in tokens]):
            states = self._states([tokens[row][0] for row in rows])
            for row, state in zip(rows, states, strict=True):
                ids, special, _ = tokens[row]
                found[row] = state[: len(ids)][~special]
        return found

    @property
    def _longest(self) -> int:
        """Tokens that the model reads; of a tokenizer without a limit, this is a number with 30 digits."""
        places = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return min(self.tokenizer.model_max_length, places or self.tokenizer.model_max_length)

    def _ids(self, text: str) -> tuple[list[int], np.ndarray, bool]:
        """Token ids of a text, which of them are special, and whether the text was cut."""
        whole = self.tokenizer(text, return_special_tokens_mask=True, verbose=False)
        cut = len(whole["input_ids"]) > self._longest
        if cut:
            whole = self.tokenizer(text, return_special_tokens_mask=True, truncation=True, max_length=self._longest)
        ids, special = whole["input_ids"], np.asarray(whole["special_tokens_mask"], dtype=bool)
        if text.strip() and special.all():
            raise ValueError(f"the tokenizer in {str(self.path)!r} makes no token of {text!r}; it may lack its files")
        return ids, special, cut

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Rows of similar length together; texts without any token are in none."""
        order = [int(row) for row in np.argsort(lengths, kind="stable") if lengths[row]]
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size]

    def _states(self, batch: list[list[int]]) -> np.ndarray:
        """Hidden states of the layer; padded on the right, where no token sees the padding."""
        import torch

        longest = max(map(len, batch))
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, of_text in enumerate(batch):
            ids[row, : len(of_text)], mask[row, : len(of_text)] = torch.tensor(of_text), 1
        with torch.inference_mode():
            states = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        return states[self.layer].float().numpy()
