"""The folder of a saved language model: weights, tokenizer, genes and what was recorded with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from tcellmil._checks import some
from tcellmil._folders import check_target, is_no_file, put_in_place, share
from tcellmil.c2s._extra import quiet, require_c2s
from tcellmil.c2s._language_model import LanguageModel

from ._lora import WEIGHTS as ADAPTER
from ._lora import has_adapter, put_adapter
from ._pretrained import CONFIG, INDEX, TOKENIZERS, WEIGHTS, check_model_folder, open_folder
from ._weights import adapter_weights, base_weights, copied, digest_of

#: The file that makes a folder one of ours.
MARK = "c2s.json"

#: Files that saving may write, beside weights in several parts.
MEMBERS = {MARK, ADAPTER, CONFIG, WEIGHTS, INDEX, "generation_config.json", *TOKENIZERS, "tokenizer_config.json"}
MEMBERS |= {"special_tokens_map.json", "added_tokens.json", "merges.txt", "chat_template.jinja"}

#: Raised when the folder changes, so that an old reader says so instead of guessing.
FORMAT = 1

#: Parts of that file, and their types.
PARTS = {"format": int, "version": str, "words": list, "meta": dict, "record": dict, "weights": str}
PARTS |= {"adapter": dict | None}

#: The file is not read beyond this size.
MAX_BYTES = 2**28


def save_language_model(
    lm: LanguageModel, path: str | Path, record: Mapping[str, object] | None = None, *, overwrite: bool = False
) -> None:
    """Write a model with all that belongs to it into a folder, which transformers can open too.

    Parameters
    ----------
    lm
        The model. An adapter is kept apart from the weights that it lies beside.
    path
        The folder; it must not exist, unless ``overwrite``. It is written beside its place and put there whole.
    record
        Plain values for JSON: tasks, the line back to expression, provenance.
    overwrite
        Replace a saved model of that name. A folder with anything else in it is never replaced.

    Raises
    ------
    ValueError
        If the folder may not be replaced, the record is not plain, or weights are not finite.
    OSError
        If it cannot be written, such as on a full disk. What was there is then still there.
    """
    require_c2s()
    from safetensors.torch import save_file

    path = Path(path).resolve()
    check_target(path, overwrite, _is_member, MARK)
    weights = base_weights(lm.model)
    broken = [name for name, w in (weights | adapter_weights(lm.model)).items() if not w.isfinite().all()]
    if broken:
        raise ValueError(f"weights {some(broken)} hold NaN or infinite values; a model with them is not saved")
    content = {"format": FORMAT, "version": version("tcellmil"), "words": list(lm.words), "meta": dict(lm.meta)}
    content |= {"record": dict(record or {}), "weights": digest_of(weights)}
    content["adapter"] = dict(lm.meta.get("lora") or {}) if has_adapter(lm) else None
    try:
        text = json.dumps(content, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the record of a model must be plain values for JSON, but: {error}") from error
    bare = lm.model.get_base_model() if has_adapter(lm) else lm.model

    def write(folder: Path) -> None:
        with quiet():
            bare.save_pretrained(folder, state_dict=_state(lm))
        lm.tokenizer.save_pretrained(folder)
        if has_adapter(lm):
            save_file(copied(adapter_weights(lm.model)), folder / ADAPTER)
        (folder / MARK).write_text(text, encoding="utf-8")
        share(folder, like=MARK)

    put_in_place(path, write)


def load_language_model(path: str | Path) -> tuple[LanguageModel, dict]:
    """The model that :func:`save_language_model` wrote, on the CPU, and its record. Nothing in the folder is executed.

    Raises
    ------
    ImportError
        If the extra is not installed.
    ValueError
        If files are missing or damaged, or the weights are not those that were saved.
    """
    require_c2s()
    path = Path(path)
    content = _content(path)
    check_model_folder(path)
    model, tokenizer = open_folder(path)
    if digest_of(base_weights(model)) != content["weights"]:
        _refuse(path, "its weights are not those that were saved")
    lm = LanguageModel(model, tokenizer, tuple(content["words"]), content["meta"])
    if content["adapter"] is not None:
        lm = put_adapter(lm, content["adapter"], path / ADAPTER)
    return lm, content["record"]


def _state(lm: LanguageModel) -> dict:
    """Weights and buffers for the file, tied ones under each of their names, without an adapter."""
    state = lm.model.state_dict()
    if not has_adapter(lm):
        return state
    return {
        name.removeprefix("base_model.model.").replace(".base_layer.", "."): values
        for name, values in state.items()
        if "lora_" not in name
    }


def _content(path: Path) -> dict:
    file = path / MARK
    if not file.exists():
        raise ValueError(f"{path} holds no {MARK}; it is not a folder that C2S.save wrote")
    if is_no_file(file) or file.stat().st_size > MAX_BYTES:
        _refuse(path, f"{MARK} is no file, or has more than {MAX_BYTES} bytes")
    try:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _refuse(path, f"{MARK} cannot be read ({error})")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise ValueError(f"{path} has format {found!r}, this version reads {FORMAT}; use the tcellmil that wrote it")
    wrong = [name for name, kind in PARTS.items() if name not in content or not isinstance(content[name], kind)]
    if wrong:
        _refuse(path, f"{MARK} has no proper {some(wrong)}")
    if not all(isinstance(word, str) for word in content["words"]):
        _refuse(path, f"{MARK} has words that are no text")
    if len(set(content["words"])) < len(content["words"]):
        _refuse(path, f"{MARK} has words that repeat")
    return content


def _is_member(name: str) -> bool:
    """Whether saving may write a file of this name."""
    return name in MEMBERS or re.fullmatch(r"model-\d{5}-of-\d{5}\.safetensors", name) is not None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _refuse(path: Path, what: str) -> NoReturn:
    raise ValueError(f"the language model in {path} is damaged or was changed by hand: {what}; take another copy of it")
