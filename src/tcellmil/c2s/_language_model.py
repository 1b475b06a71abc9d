"""A language model, its tokenizer and the genes that it speaks of, together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tcellmil._checks import some
from tcellmil._devices import Accelerator, device_for

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

#: A tokenizer without a limit of its own says that it takes 10^30 tokens.
NO_LIMIT = 10**9


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model of cell sentences.

    The network itself is trained and moved in place; what is around it does not change.

    Parameters
    ----------
    model
        A causal language model of transformers, or one with a LoRA adapter of peft around it.
    tokenizer
        Its fast tokenizer, with an end token and a padding token.
    words
        Words of the genes; a cell sentence holds indices into them. Empty where no data have been seen yet.
    meta
        Where the model comes from: plain values for JSON.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    words: tuple[str, ...] = ()
    meta: Mapping[str, object] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def architecture(self) -> str:
        """Name of the architecture, as transformers calls it."""
        return str(self.model.config.model_type)

    @property
    def context(self) -> int:
        """Tokens that the model takes at once."""
        limits = [getattr(self.model.config, "max_position_embeddings", None), self.tokenizer.model_max_length]
        return min(int(n) for n in (*limits, NO_LIMIT) if n is not None)

    @property
    def vocab_size(self) -> int:
        """Tokens that the model can tell apart, some of which its tokenizer may not use."""
        return self.model.get_input_embeddings().weight.shape[0]

    @property
    def pad_id(self) -> int:
        """Token that fills rows up."""
        return int(self.tokenizer.pad_token_id)

    @property
    def eos_id(self) -> int:
        """Token that ends an answer."""
        return int(self.tokenizer.eos_token_id)

    @property
    def is_tied(self) -> bool:
        """Whether the output layer is the table of token embeddings."""
        head, table = self.model.get_output_embeddings(), self.model.get_input_embeddings()
        return getattr(head, "weight", None) is table.weight

    @property
    def n_parameters(self) -> int:
        """Weights, tied ones counted once."""
        return sum(weight.numel() for weight in self.model.parameters())

    def digest(self) -> str:
        """Text that differs where any weight differs, those of an adapter among them. Costs a second a gigabyte."""
        from tcellmil.c2s._models._weights import digest_of, named_weights

        return digest_of(named_weights(self.model))

    def to(self, accelerator: Accelerator) -> LanguageModel:
        """Move the network to a device, in place."""
        self.model.to(device_for(accelerator))
        return self

    def with_words(self, words: Sequence[str]) -> LanguageModel:
        """The same network for genes of these words.

        Raises
        ------
        ValueError
            If the tokenizer turns words into its unknown token or into nothing; it says how many.
        """
        unknown = self.unknown_words(words)
        if unknown:
            raise ValueError(
                f"the model's tokenizer does not know {len(unknown)} of {len(words)} genes: {some(unknown)}; use a "
                "model whose vocabulary holds them, or leave these genes out of the sentences"
            )
        return replace(self, words=tuple(words))

    def unknown_words(self, words: Sequence[str]) -> list[str]:
        """Words that the tokenizer turns into its unknown token or into nothing."""
        words = list(words)
        if not words:
            return []
        ids = self.tokenizer(words, add_special_tokens=False)["input_ids"]
        unknown = self.tokenizer.unk_token_id
        return [word for word, tokens in zip(words, ids, strict=True) if not tokens or unknown in tokens]
