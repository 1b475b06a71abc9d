"""LoRA: small trained matrices beside the frozen weights of a model, kept in a file of their own."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tcellmil._checks import some
from tcellmil._folders import check_target, put_in_place, share
from tcellmil.c2s._extra import require_c2s, seeded
from tcellmil.c2s._language_model import LanguageModel

from ._weights import adapter_weights, base_weights, copied, digest_of, put_back

if TYPE_CHECKING:
    from torch import nn

#: Options of LoRA that leave the weights of the model as they are; others of peft train or change these too.
OPTIONS = ("r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "use_rslora", "use_dora")
OPTIONS += ("layers_to_transform", "rank_pattern", "alpha_pattern")

#: Every matrix of the transformer; neither the embeddings nor the output layer.
DEFAULTS = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}

#: Files of an adapter: the options and which model it belongs to; the weights.
RECORD, WEIGHTS = "adapter.json", "adapter.safetensors"


def add_adapter(lm: LanguageModel, options: Mapping[str, object] | None = None, *, seed: int = 0) -> LanguageModel:
    """A model with a fresh adapter, of which nothing but the adapter is trained.

    The layers of the adapter are put into the network that is given; :func:`drop_adapter` takes them out again.

    Parameters
    ----------
    lm
        A model without an adapter.
    options
        Of :class:`peft.LoraConfig`, as far as they leave the model's own weights alone (:data:`OPTIONS`); by default
        rank 16 on every matrix of the transformer.
    seed
        Of the adapter's first weights. A fresh adapter does not change what the model says.

    Raises
    ------
    ValueError, TypeError
        If the model has an adapter already, an option is not known or would change the model itself, or the adapter
        would lie on embeddings that are tied to the output layer.
    """
    require_c2s()
    if has_adapter(lm):
        raise ValueError("the model has an adapter already; merge it with merge_adapter, or drop_adapter first")
    options = DEFAULTS | dict(options or {})
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise TypeError(
            f"lora has no options {some(unknown)}; choose from {some(OPTIONS, len(OPTIONS))}. Others of peft's train "
            "or change the model's own weights"
        )
    from peft import LoraConfig, get_peft_model

    with seeded(seed):  # which keeps filters of warnings too
        warnings.filterwarnings("ignore", module="peft|transformers")  # of their own deprecations; tied weights: below
        model = get_peft_model(lm.model, LoraConfig(task_type="CAUSAL_LM", **options))
    with_adapter = replace(lm, model=model, meta={**lm.meta, "lora": options | {"seed": int(seed)}})
    if lm.is_tied and (on := _on_tied(model)):
        drop_adapter(with_adapter)
        raise ValueError(
            f"target_modules would put an adapter on {some(on)}, whose weights are tied to each other: the adapter "
            "would change one of them only. Leave them out; target_modules='all-linear' does"
        )
    return with_adapter


def has_adapter(lm: LanguageModel) -> bool:
    """Whether an adapter lies beside the weights."""
    return bool(adapter_weights(lm.model))


def drop_adapter(lm: LanguageModel) -> LanguageModel:
    """The model as it was before it had an adapter."""
    _check_adapter(lm)
    model = lm.model.unload().requires_grad_(True)
    return replace(lm, model=model, meta={name: value for name, value in lm.meta.items() if name != "lora"})


def merge_adapter(lm: LanguageModel) -> LanguageModel:
    """The model with its adapter added to its weights, as a model without one. The network is changed in place."""
    _check_adapter(lm)
    model = lm.model.merge_and_unload(safe_merge=True).requires_grad_(True)
    meta = {name: value for name, value in lm.meta.items() if name != "lora"}
    return replace(lm, model=model, meta={**meta, "merged_lora": lm.meta.get("lora")})


def save_adapter(lm: LanguageModel, path: str | Path, *, overwrite: bool = False) -> None:
    """Write the adapter by itself into a folder: its weights, its options and a checksum of the model it belongs to.

    Raises
    ------
    ValueError
        If there is no adapter, or the folder exists; with ``overwrite``, if it holds anything but an adapter.
    """
    _check_adapter(lm)
    from safetensors.torch import save_file

    record = {"options": lm.meta.get("lora"), "base": digest_of(base_weights(lm.model))}
    weights = {name: w.contiguous() for name, w in copied(adapter_weights(lm.model)).items()}

    def write(folder: Path) -> None:
        (folder / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
        save_file(weights, folder / WEIGHTS)
        share(folder, like=RECORD)

    path = Path(path).resolve()
    check_target(path, overwrite, (RECORD, WEIGHTS).__contains__, RECORD)
    put_in_place(path, write)


def load_adapter(lm: LanguageModel, path: str | Path) -> LanguageModel:
    """Put an adapter that :func:`save_adapter` wrote into the model that it belongs to.

    Raises
    ------
    ValueError
        If files are missing or damaged, or the model is not the one that the adapter was trained on.
    """
    require_c2s()
    path = Path(path)
    missing = [name for name in (RECORD, WEIGHTS) if not (path / name).is_file()]
    if missing:
        raise ValueError(f"{path} holds no {missing[0]}; it is not a folder that save_adapter wrote")
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        options, base = dict(record["options"]), record["base"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path / RECORD} cannot be read ({error!r}); take another copy of the adapter") from error
    if base != digest_of(base_weights(lm.model)):
        raise ValueError(f"the adapter in {path} belongs to a model with other weights; load the one it was trained on")
    return put_adapter(lm, options, path / WEIGHTS)


def put_adapter(lm: LanguageModel, options: Mapping[str, object], file: Path) -> LanguageModel:
    """Put the weights of an adapter, out of a file, into a model that has none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    options = dict(options)
    with_adapter = add_adapter(lm, {k: v for k, v in options.items() if k != "seed"}, seed=options.get("seed", 0))
    try:
        put_back(adapter_weights(with_adapter.model), load_file(file))
    except (SafetensorError, ValueError) as error:
        drop_adapter(with_adapter)
        raise ValueError(f"{file} cannot be read ({error}); take another copy of the adapter") from error
    with_adapter.model.eval()
    return with_adapter


def _check_adapter(lm: LanguageModel) -> None:
    require_c2s()
    if not has_adapter(lm):
        raise ValueError("the model has no adapter; train one with lora={}")


def _on_tied(model: nn.Module) -> list[str]:
    """Names of the embeddings and of the output layer, as far as an adapter lies on them."""
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    return [
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if module in ends and any("lora_" in inner for inner, _ in module.named_parameters())
    ]
