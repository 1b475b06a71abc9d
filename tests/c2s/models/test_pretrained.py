"""Loading a released model: whole or refused, its authors' code never run, and what to do without a network."""

import json
import os
import struct
import sys

import pytest

from tcellmil.c2s._models._pretrained import from_pretrained
from tcellmil.c2s._models._weights import digest_of, named_weights

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

ARCHITECTURES = ["llama", "gpt_neox", "gemma2"]


def write(lm, folder):
    """As the authors of a model release it."""
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def released(toy, tmp_path):
    return write(toy.tiny(), tmp_path / "released")


def edit(file, **changes):
    values = json.loads(file.read_text())
    values |= changes
    file.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tied", [False, True])
def test_a_released_model_is_the_same_after_loading(toy, architecture, tied, tmp_path):
    lm = toy.tiny(architecture, tied)
    found = from_pretrained(write(lm, tmp_path / "x"))
    assert digest_of(named_weights(found.model)) == digest_of(named_weights(lm.model))
    text = "HLA-3 HLA-11 type: CD4 T cell"
    assert found.tokenizer(text).input_ids == lm.tokenizer(text).input_ids
    assert (found.architecture, found.context, found.is_tied) == (architecture, 32, tied)
    assert (found.eos_id, found.pad_id, found.words) == (1, 0, ())
    assert found.meta["source"] == str(tmp_path / "x") and not found.model.training


def test_weights_have_the_type_that_they_are_stored_as_or_another(toy, tmp_path):
    lm = toy.tiny()
    lm.model.to(torch.bfloat16)
    folder = write(lm, tmp_path / "x")
    assert next(from_pretrained(folder).model.parameters()).dtype == torch.bfloat16
    assert next(from_pretrained(str(folder), dtype="float32").model.parameters()).dtype == torch.float32


def test_weights_in_several_files_are_read(toy, tmp_path):
    lm = toy.tiny()
    lm.model.save_pretrained(tmp_path, max_shard_size="20KB")
    lm.tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors.index.json").exists()
    assert digest_of(named_weights(from_pretrained(tmp_path).model)) == digest_of(named_weights(lm.model))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_folder_without_tokenizer_files_is_refused(toy, architecture, tmp_path):
    folder = write(toy.tiny(architecture), tmp_path / "x")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"holds no tokenizer \(one of \['tokenizer.json', .*would make an empty one"):
        from_pretrained(folder)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ValueError, match="holds no tokenizer"):
        from_pretrained(folder)


def test_an_empty_tokenizer_is_refused(released):
    values = json.loads((released / "tokenizer.json").read_text())
    values["model"] = {"type": "BPE", "vocab": {}, "merges": []}
    values["added_tokens"] = []
    (released / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match="the tokenizer in .* is empty: it makes no token of any text"):
        from_pretrained(released)


def test_a_tokenizer_without_an_end_token_is_refused(released):
    edit(released / "tokenizer_config.json", eos_token=None)
    with pytest.raises(ValueError, match="has no end token, so that no answer would end; name one in its tokenizer_c"):
        from_pretrained(released)


def test_a_tokenizer_without_a_padding_token_gets_the_end_token(released):
    edit(released / "tokenizer_config.json", pad_token=None)
    lm = from_pretrained(released)
    assert lm.pad_id == lm.eos_id == 1


def test_a_tokenizer_of_another_model_is_refused(toy, released):
    from tcellmil.c2s._models._scratch import word_tokenizer

    word_tokenizer([f"G{i}" for i in range(99)], context=32).save_pretrained(released)
    with pytest.raises(ValueError, match="the tokenizer in .* has 102 tokens, the model 20; they do not belong togeth"):
        from_pretrained(released)


def test_pickled_weights_are_refused_and_not_opened(released):
    (released / "model.safetensors").unlink()
    (released / "pytorch_model.bin").write_bytes(b"cos\n_exit\n(I77\ntR.")
    with pytest.raises(ValueError, match=r"holds only \['pytorch_model.bin'\], which run code when opened; convert"):
        from_pretrained(released)
    (released / "pytorch_model.bin").unlink()
    with pytest.raises(ValueError, match="holds no weights; add them as model.safetensors"):
        from_pretrained(released)


def test_code_that_comes_with_a_model_is_never_run(released, tmp_path):
    (released / "modeling.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: pass\nclass Config: pass"
    )
    auto_map = {"AutoConfig": "modeling.Config", "AutoModelForCausalLM": "modeling.Model"}
    edit(released / "config.json", auto_map=auto_map)
    edit(released / "tokenizer_config.json", auto_map={"AutoTokenizer": ["modeling.Model", None]})
    from_pretrained(released)
    edit(released / "config.json", model_type="own")
    with pytest.raises(
        ValueError, match="architecture 'own', which the installed .* It comes with code of its own, wh"
    ):
        from_pretrained(released)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trust_remote_code": True}, r"\['trust_remote_code'\] cannot be set: code that comes with a model is never"),
        ({"use_safetensors": False}, r"\['use_safetensors'\] cannot be set: .* weights are read from safetensors only"),
        ({"attn_implementation": "owner/kernel"}, "'owner/kernel' is a kernel from a hub, whose code would be run"),
        ({"gguf_file": "x.gguf"}, "holds no x.gguf; it holds"),
    ],
)
def test_options_that_would_run_code_are_refused(released, options, message):
    with pytest.raises(ValueError, match=message):
        from_pretrained(released, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"attn_implementation": "owner/kernel"},
            "config.json has attn_implementation='owner/kernel', code from a hub",
        ),
        ({"transformers_weights": "../x.safetensors"}, "config.json names weights of its own"),
        ({"model_type": None}, "is of architecture None, which the installed transformers does not have"),
    ],
)
def test_configurations_that_lead_out_of_the_folder_are_refused(released, change, message):
    edit(released / "config.json", **change)
    with pytest.raises(ValueError, match=message):
        from_pretrained(released)


def test_folders_that_hold_no_whole_model_are_refused(released):
    (released / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds adapter_config.json: an adapter, or a model with one"):
        from_pretrained(released)
    (released / "adapter_config.json").unlink()
    for content, message in (("{", "config.json cannot be read"), ("[]", "config.json is no model's configuration")):
        (released / "config.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            from_pretrained(released)
    (released / "config.json").unlink()
    with pytest.raises(ValueError, match="holds no config.json, so it is no model of transformers; it holds"):
        from_pretrained(released)
    os.mkfifo(released / "config.json")
    with pytest.raises(ValueError, match=r"holds \['config.json'\], which are no files"):
        from_pretrained(released)


@pytest.mark.parametrize("name", ["no/such/folder", "/no/such", "./x", "model", "a b/c"])
def test_a_folder_that_is_not_there_is_named(name):
    with pytest.raises(FileNotFoundError, match="there is no folder .*; give the folder of a model, or owner/name of"):
        from_pretrained(name)


def test_a_hub_without_network_says_what_to_download_and_where(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = (
        "vandijklab/some-model is no folder here, and the hub cannot be reached. On a computer with a network, "
        r'download it: hf download vandijklab/some-model --include "\*.safetensors" .* --local-dir some-model\nthen '
        "copy the folder some-model here and give its path instead of 'vandijklab/some-model'"
    )
    with pytest.raises(FileNotFoundError, match=message):
        from_pretrained("vandijklab/some-model", cache_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match='--include "m.gguf" --local-dir'):
        from_pretrained("vandijklab/some-model", cache_dir=tmp_path, gguf_file="m.gguf", local_files_only=True)


def test_a_download_is_looked_at_like_any_folder(toy, released, monkeypatch):
    import huggingface_hub

    seen = {}

    def download(name, **options):
        seen.update(options, name=name)
        return str(released)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    lm = from_pretrained("owner/name", revision="abc")
    assert seen["name"] == "owner/name" and seen["revision"] == "abc" and "*.safetensors" in seen["allow_patterns"]
    assert not {"*.bin", "*.py", "*"} & set(seen["allow_patterns"])
    assert lm.meta["source"] == "owner/name" and lm.meta["revision"] == "abc"
    (released / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="holds no tokenizer"):
        from_pretrained("owner/name")


def gguf(path, metadata, tensors):
    """The smallest file of that format: version 3, float32 only."""

    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def pack(value):
        if isinstance(value, list):
            kind = {str: 8, int: 5, float: 6}[type(value[0])]
            items = b"".join(pack(item)[4:] for item in value)
            return struct.pack("<IIQ", 9, kind, len(value)) + items
        kind, content = {
            str: (8, text),
            int: (4, lambda v: struct.pack("<I", v)),
            float: (6, lambda v: struct.pack("<f", v)),
        }[type(value)]
        return struct.pack("<I", kind) + content(value)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for name, value in metadata.items():
        head += text(name) + pack(value)
    body = b""
    for name, values in tensors.items():
        shape = values.shape[::-1]
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", 0, len(body))
        body += values.numpy().tobytes()
        body += bytes(-len(body) % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + body)


@pytest.fixture
def as_gguf(toy, tmp_path):
    """A model, and the same in a folder as a GGUF file beside its tokenizer."""
    lm = toy.tiny()
    metadata = {"general.architecture": "llama", "llama.block_count": 2, "llama.embedding_length": 32}
    metadata |= {"llama.feed_forward_length": 32, "llama.attention.head_count": 2, "llama.attention.head_count_kv": 2}
    metadata |= {
        "llama.context_length": 32,
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
        "llama.rope.freq_base": 1e4,
    }
    metadata |= {"llama.rope.dimension_count": 16, "llama.vocab_size": lm.vocab_size}
    weights = {name: w.detach().clone() for name, w in lm.model.named_parameters()}
    names = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm"}
    inner = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    inner |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    inner |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    for i in range(2):
        names |= {f"model.layers.{i}.{name}": f"blk.{i}.{other}" for name, other in inner.items()}
    tensors = {}
    for name, w in weights.items():
        if name.endswith(("q_proj.weight", "k_proj.weight")):  # llama.cpp pairs neighbouring dimensions
            w = w.reshape(2, 2, 8, 32).swapaxes(1, 2).reshape(32, 32).contiguous()
        tensors[names[name.removesuffix(".weight")] + ".weight"] = w
    gguf(tmp_path / "m.gguf", metadata, tensors)
    lm.tokenizer.save_pretrained(tmp_path)
    return lm, tmp_path


def test_a_gguf_file_is_unpacked_into_weights_that_train(toy, as_gguf):
    pytest.importorskip("gguf")
    lm, folder = as_gguf
    found = from_pretrained(folder, gguf_file="m.gguf")
    ids = torch.arange(3, 12)[None]
    assert torch.allclose(found.model(ids).logits, lm.model(ids).logits, atol=1e-5)
    assert toy.run(found, max_steps=2).losses


def test_a_gguf_file_without_its_reader_says_what_to_install(as_gguf, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.setattr("transformers.modeling_gguf_pytorch_utils.is_gguf_available", lambda: False)
    with pytest.raises(ImportError, match=r"m.gguf cannot be read \(.*\); install with: pip install gguf"):
        from_pretrained(as_gguf[1], gguf_file="m.gguf")
