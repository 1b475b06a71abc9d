"""Arguments of ``train`` that users of scvi-tools know: they work, or the error says what to do."""

import inspect
from dataclasses import fields

import pytest
from scvi.model.base import UnsupervisedTrainingMixin

import tcellmil as tm
from tcellmil.training import TrainingConfig
from tcellmil.training._config import OF_SCVI

OWN = {field.name for field in fields(TrainingConfig)} | set(inspect.signature(tm.model.TcellMIL.train).parameters)


@pytest.fixture
def model(make_cohort):
    adata = make_cohort()
    tm.model.TcellMIL.setup_anndata(adata, "patient", "response", use_rep="X_pca")
    return tm.model.TcellMIL(adata, compression="autoencoder", n_hidden=6, n_latent=4)


def test_every_argument_of_scvi_tools_is_ours_or_explained():
    theirs = set(inspect.signature(UnsupervisedTrainingMixin.train).parameters) - {"self", "trainer_kwargs"}
    assert {"max_epochs", "accelerator", "devices", "train_size", "plan_kwargs"} <= theirs
    assert theirs <= OWN | set(OF_SCVI)
    assert not OWN & set(OF_SCVI)


@pytest.mark.parametrize("name", OF_SCVI)
def test_an_argument_that_is_not_ours_says_what_to_do(model, name):
    with pytest.raises(TypeError, match=rf"training has no options \['{name}'\]; {name}: .*; choose from 'max_epochs'"):
        model.train(**{name: 1})
    assert not model.is_trained_


def test_an_argument_that_nobody_knows_is_refused(model):
    with pytest.raises(TypeError, match=r"training has no options \['n_layers'\]; choose from 'max_epochs'"):
        model.train(n_layers=1)


@pytest.mark.parametrize(("early_stopping", "stops"), [(True, True), (False, False)])
def test_what_users_of_scvi_tools_type_works(model, early_stopping, stops):
    options = {"max_epochs_ae": 3, "batch_size": 32, "validation_size": 0.3, "progress": False}
    model.train(max_epochs=3, early_stopping=early_stopping, accelerator="auto", **options)
    validated = model.history_table.groupby("stage")["validation_loss"].count()
    assert (validated > 0).tolist() == [stops] * len(validated) and len(validated) == 2


def test_epochs_left_open_are_chosen_for_the_cohort(model):
    model.train(max_epochs=None, max_epochs_ae=1, progress=False)
    assert model.training["max_epochs"] == 120
