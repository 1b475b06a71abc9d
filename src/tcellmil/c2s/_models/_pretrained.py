"""Released language models: from a folder or a hub, their files looked at before any library opens them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tcellmil._checks import some
from tcellmil._folders import is_no_file
from tcellmil.c2s._extra import quiet, require_c2s
from tcellmil.c2s._language_model import LanguageModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

CONFIG, ADAPTER = "config.json", "adapter_config.json"

#: Weights that hold nothing but numbers: in one file, or in several that an index names.
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

#: Files of which one is enough to make a tokenizer.
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")

#: Options of the download; all others are those of ``AutoModelForCausalLM.from_pretrained``.
OF_HUB = ("revision", "token", "cache_dir", "force_download", "local_files_only")

#: Options of transformers that would run code which is not installed, or read other files than those looked at.
REFUSED = ("trust_remote_code", "code_revision", "use_kernels", "kernel_config", "allow_all_kernels", "adapter_kwargs")
REFUSED += ("use_safetensors", "weights_only", "config", "state_dict", "subfolder", "variant")

#: What is downloaded, out of the top of the repository.
DOWNLOADED = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja")


def from_pretrained(path_or_hub_id: str | Path, *, dtype: str = "auto", **kwargs) -> LanguageModel:
    """Load a causal language model and its tokenizer from a folder, or by its name on the Hugging Face hub.

    No code of the model's authors is run: architectures are those of the installed transformers, weights are read from
    safetensors only, and the files are checked first. Weights are on the CPU afterwards.

    Parameters
    ----------
    path_or_hub_id
        A folder with ``config.json``, ``model.safetensors`` and the files of the tokenizer, or ``owner/name``.
    dtype
        Type of the weights, such as ``"float32"``; ``"auto"`` takes the one they are stored as.
    **kwargs
        ``revision``, ``token``, ``cache_dir``, ``force_download`` and ``local_files_only`` for the hub; ``gguf_file``,
        the name of a GGUF file in the folder, whose weights are unpacked; anything else goes to
        ``AutoModelForCausalLM.from_pretrained``, apart from what would run code.

    Raises
    ------
    ImportError
        If the extra is not installed.
    FileNotFoundError
        If there is no such folder, or the hub cannot be reached; it says what to download and where to put it.
    ValueError
        If files are missing, weights are not safetensors, the tokenizer is empty, has no end token, or knows more
        tokens than the model.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from tcellmil.c2s import from_scratch
    >>> made = from_scratch(["CD3D", "MS4A1"], size={"hidden_size": 16}, context=32)
    >>> with TemporaryDirectory() as folder:
    ...     paths = made.model.save_pretrained(folder), made.tokenizer.save_pretrained(folder)
    ...     lm = from_pretrained(folder)
    >>> lm.architecture, lm.context
    ('llama', 32)
    """
    require_c2s()
    refused = [name for name in kwargs if name in REFUSED]
    if refused:
        raise ValueError(
            f"{some(refused)} cannot be set: code that comes with a model is never run, and weights are read from "
            "safetensors only"
        )
    if "/" in str(kwargs.get("attn_implementation", "")):
        raise ValueError(
            f"attn_implementation={kwargs['attn_implementation']!r} is a kernel from a hub, whose code would be run; "
            "use 'sdpa', 'eager' or an installed one"
        )
    gguf_file = kwargs.pop("gguf_file", None)
    hub = {name: kwargs.pop(name) for name in OF_HUB if name in kwargs}
    folder = _folder(path_or_hub_id, gguf_file, hub)
    check_model_folder(folder, gguf_file)
    model, tokenizer = open_folder(folder, dtype=dtype, gguf_file=gguf_file, **kwargs)
    meta = {"source": str(path_or_hub_id), "revision": str(hub.get("revision") or ""), "gguf_file": gguf_file or ""}
    return LanguageModel(model, tokenizer, meta={**meta, "architecture": str(model.config.model_type)})


def check_model_folder(folder: Path, gguf_file: str | None = None) -> None:
    """Raise a ValueError unless a folder holds all that a model and a tokenizer are read from, as plain files."""
    names = {member.name for member in folder.iterdir()}
    looked_at = [name for name in names if name.endswith((".json", ".safetensors", ".model", ".txt", ".gguf"))]
    odd = [name for name in looked_at if is_no_file(folder / name)]
    if odd:
        raise ValueError(f"{folder} holds {some(odd)}, which are no files")
    if gguf_file is not None:
        if gguf_file not in names:
            raise ValueError(f"{folder} holds no {gguf_file}; it holds {some(sorted(names))}")
        return
    if ADAPTER in names:
        raise ValueError(
            f"{folder} holds {ADAPTER}: an adapter, or a model with one. Load the model it belongs to, from a folder "
            "without it"
        )
    if CONFIG not in names:
        raise ValueError(
            f"{folder} holds no {CONFIG}, so it is no model of transformers; it holds {some(sorted(names))}"
        )
    _check_config(folder)
    if WEIGHTS not in names and INDEX not in names:
        pickled = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl")))
        found = f"only {some(pickled)}, which run code when opened; convert them" if pickled else "no weights; add them"
        raise ValueError(f"{folder} holds {found} as {WEIGHTS}")
    if not names & set(TOKENIZERS):
        raise ValueError(
            f"{folder} holds no tokenizer (one of {some(TOKENIZERS)}); add the files of the one that the model was "
            "trained with, or save it there with tokenizer.save_pretrained. transformers would make an empty one"
        )


def open_folder(
    folder: Path, *, dtype: str = "auto", gguf_file: str | None = None, **kwargs
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Model and tokenizer of a folder that :func:`check_model_folder` has looked at."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedTokenizerFast

    safe = {"trust_remote_code": False, "local_files_only": True}
    of_gguf = {} if gguf_file is None else {"gguf_file": gguf_file}
    whole = (folder / "tokenizer.json").exists()  # read as it is: a class of an architecture may build another one
    with quiet(), _explained(gguf_file):
        made_by = PreTrainedTokenizerFast if whole else AutoTokenizer
        tokenizer = made_by.from_pretrained(folder, **safe, **({} if whole else of_gguf))
        _check_tokenizer(tokenizer, folder)
        if gguf_file is not None:
            of_gguf["quantization_config"] = GgufConfig(dequantize=True)  # packed weights cannot be trained
        model = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, dtype=dtype, **safe, **of_gguf, **kwargs
        )
    n_tokens, n_rows = len(tokenizer), model.get_input_embeddings().weight.shape[0]
    if n_tokens > n_rows:
        raise ValueError(
            f"the tokenizer in {folder} has {n_tokens} tokens, the model {n_rows}; they do not belong together"
        )
    return model.eval(), tokenizer


@contextmanager
def _explained(gguf_file: str | None) -> Iterator[None]:
    """Say what to install where a GGUF file needs more than the extra has."""
    try:
        yield
    except ImportError as error:
        if gguf_file is None:
            raise
        raise ImportError(f"{gguf_file} cannot be read ({error}); install with: pip install gguf") from error


def _check_config(folder: Path) -> None:
    """Raise where the configuration names code or files outside of the folder."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG} cannot be read ({error})") from error
    if not isinstance(config, Mapping):
        raise ValueError(f"{folder / CONFIG} is no model's configuration")
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        code = " It comes with code of its own, which is never run." if config.get("auto_map") else ""
        raise ValueError(f"{folder} is of architecture {kind!r}, which the installed transformers does not have.{code}")
    for name in ("attn_implementation", "experts_implementation"):
        if "/" in str(config.get(name) or ""):
            raise ValueError(f"{folder / CONFIG} has {name}={config[name]!r}, code from a hub; take it out")
    if config.get("transformers_weights"):
        raise ValueError(f"{folder / CONFIG} names weights of its own (transformers_weights); take this out")


def _check_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Raise unless a tokenizer makes tokens of text and can end an answer; one without a padding token gets one."""
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"the tokenizer in {folder} has no fast form (tokenizer.json); save it as one")
    if not tokenizer("MALAT1 CD3D cell", add_special_tokens=False)["input_ids"]:
        raise ValueError(
            f"the tokenizer in {folder} is empty: it makes no token of any text; add the files of the one that the "
            "model was trained with"
        )
    if tokenizer.eos_token_id is None:
        raise ValueError(
            f"the tokenizer in {folder} has no end token, so that no answer would end; name one in its "
            'tokenizer_config.json, such as "eos_token": "</s>"'
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token


def _folder(path_or_hub_id: str | Path, gguf_file: str | None, hub: Mapping[str, object]) -> Path:
    """The folder itself, or that to which the files of a hub are downloaded."""
    path = Path(path_or_hub_id).expanduser()
    if path.is_dir():
        return path
    name = str(path_or_hub_id)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.startswith((".", "/")) or path.exists():
        raise FileNotFoundError(
            f"there is no folder {name}; give the folder of a model, or owner/name of one on the Hugging Face hub"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RevisionResolutionError

    wanted = [*DOWNLOADED, *([gguf_file] if gguf_file else [])]
    ignored = ["*/*", *([] if gguf_file is None else ["*.safetensors"])]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=ignored, **hub))
    except (OSError, HfHubHTTPError, RevisionResolutionError) as error:
        if isinstance(error, HfHubHTTPError) and error.response is not None:
            raise FileNotFoundError(f"the hub does not give out {name}: {str(error).splitlines()[0]}") from error
        what = " ".join(f'--include "{pattern}"' for pattern in wanted)
        raise FileNotFoundError(
            f"{name} is no folder here, and the hub cannot be reached. On a computer with a network, download it: "
            f"hf download {name} {what} --local-dir {path.name}\nthen copy the folder {path.name} here and give its "
            f"path instead of {name!r}, or set HF_HOME to a cache that holds the model"
        ) from error
