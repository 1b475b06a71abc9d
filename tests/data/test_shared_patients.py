"""Samples that share patients are noticed where no group_key says so, and nothing else is taken for patients."""

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.data._fields import Fields
from tcellmil.data._read import read
from tcellmil.data._shared_patients import warn_of_shared_patients


def samples_of(names, labels, n_cells=3, **columns):
    """A few cells for each sample; columns have one value for each sample."""
    obs = pd.DataFrame({"sample": names, "label": labels, **columns})
    obs = obs.loc[np.repeat(obs.index, n_cells)].set_axis([f"cell{i}" for i in range(n_cells * len(names))])
    adata = ad.AnnData(np.ones((len(obs), 1), dtype=np.float32), obs=obs)
    adata.obsm["X_regulons"] = np.random.default_rng(0).random((len(obs), 2)).astype(np.float32)
    return adata


def noticed(data, *keys, **options):
    """The warning, or nothing."""
    fields = Fields(*(keys or ("sample", "label")), **options)
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        warn_of_shared_patients(data, fields, read(data, fields))
    found = [str(warning.message) for warning in met if "share patients" in str(warning.message)]
    assert len(found) <= 1
    return found[0] if found else ""


def paired(n=6, **columns):
    """Two samples of each of ``n`` people, one of each class."""
    person = np.repeat(np.arange(n), 2)
    names = [f"S{i:02d}" for i in range(2 * n)]
    return samples_of(names, np.tile(["post", "pre"], n), **{key: of(person) for key, of in columns.items()})


PEOPLE = ["patient", "donor_id", "Subject", "individual", "PatientID", "donor.number", "mouse_id", "orig_patient"]


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("values", [lambda p: p + 101, lambda p: [f"P{i}" for i in p], lambda p: pd.Categorical(p)])
def test_a_column_of_people_is_named_with_what_to_pass(name, values):
    message = noticed(paired(**{name: values}))
    assert message.startswith(f"samples seem to share patients: obs[{name!r}] has 6 values for the 12 of 'sample'")
    assert "one for ['S00', 'S01']" in message and f"pass group_key={name!r}" in message


def test_several_samples_of_one_class_are_noticed_too():
    person = np.repeat(np.arange(4), 3)
    adata = samples_of([f"S{i}" for i in range(12)], np.repeat(["a", "b"], 6), donor=person)
    assert "obs['donor'] has 4 values for the 12" in noticed(adata)


def test_with_a_group_key_nothing_is_said():
    assert noticed(paired(donor=lambda p: p.astype(str)), group_key="donor") == ""


def test_parts_of_the_names_of_samples_are_noticed_by_any_column():
    people = [f"P{i}" for i in range(1, 13)]  # P1 is no part of P11
    names = [f"{person}_{when}" for person in people for when in ("pre", "post")]
    adata = samples_of(names, np.tile(["pre", "post"], 12), code=np.repeat(people, 2))
    assert "obs['code'] has 12 values for the 24" in noticed(adata)


NOT_PEOPLE = {
    "donor_age": lambda p: 40 + p,
    "patient_sex": lambda p: np.array(["f", "m"])[p % 2],
    "age": lambda p: 40 + p,
    "pool": lambda p: [f"pool{i}" for i in p],
    "collection_date": lambda p: [f"2020-03-{i + 1:02d}" for i in p],
    "site": lambda p: [f"site{i // 2}" for i in p],
    "pT": lambda p: [f"T{i % 4}" for i in p],
    "bmi": lambda p: 20.5 + p,
    "code": lambda p: [f"X{i}" for i in p],  # not in the names of the samples
}


@pytest.mark.parametrize("name", NOT_PEOPLE)
def test_what_samples_may_share_by_chance_is_not_taken_for_people(name):
    assert noticed(paired(**{name: NOT_PEOPLE[name]})) == ""


def test_pools_and_times_in_the_names_of_samples_are_no_people():
    names = [f"{when}_pool{pool}_{i}" for i, (pool, when) in enumerate((p, w) for p in range(6) for w in "ab")]
    columns = {"pool": np.repeat([f"pool{i}" for i in range(6)], 2), "timepoint": np.tile(["a", "b"], 6)}
    assert noticed(samples_of(names, np.tile(["x", "x", "y", "y"], 3), **columns)) == ""


def test_a_column_that_follows_from_the_class_is_not_of_people():
    """Patients and controls, in a column that is called subject."""
    adata = samples_of([f"S{i}" for i in range(12)], np.repeat(["a", "b", "c"], 4))
    adata.obs["subject"] = adata.obs["label"].map({"a": "patient", "b": "patient", "c": "control"})
    assert noticed(adata) == ""


def test_one_person_a_sample_or_few_kinds_of_people_are_none_that_share():
    names = [f"S{i}" for i in range(14)]
    one = samples_of(names, np.tile(["a", "b"], 7), donor=names)
    assert noticed(one) == ""
    kinds = samples_of(names, np.tile(["a", "b"], 7), donor=np.repeat(["living", "deceased"], 7))
    assert noticed(kinds) == ""


def test_columns_that_vary_in_a_sample_or_are_read_are_left_alone():
    adata = paired(donor=lambda p: p.astype(str))
    adata.obs["donor"] = np.arange(adata.n_obs).astype(str)
    assert noticed(adata) == ""
    adata = paired(donor=lambda p: p.astype(str))
    assert noticed(adata, categorical_covariate_keys=["donor"]) == ""


def test_samples_without_a_person_are_each_their_own():
    adata = paired(donor=lambda p: np.where(p == 0, None, p.astype(str)))
    assert "obs['donor'] has 7 values for the 12" in noticed(adata)


def test_a_column_of_a_modality_is_named_as_arguments_name_it(make_mudata):
    mdata = make_mudata()
    donor = mdata["rna"].obs["patient"].map({f"P{i}": f"D{i // 2}" for i in range(8)}).astype(str)
    mdata["rna"].obs["donor"] = donor
    message = noticed(mdata, "rna:patient", "rna:response", use_rep={"regulons": "X"})
    assert "pass group_key='rna:donor'" in message


COHORTS = {
    "covid_severity_schulte.h5ad": ("sample", "label"),
    "covid_pbmc_stephenson.h5ad": ("sample", "label"),
    "onek1k_age.h5ad": ("sample", "label"),
    "melanoma_icb.h5ad": ("sample", "response"),
}


@pytest.mark.parametrize("name", COHORTS)
def test_real_cohorts_of_one_sample_a_patient_raise_no_alarm(shared_data, name):
    adata = ad.read_h5ad(shared_data(name))
    adata.obsm["X_regulons"] = np.zeros((adata.n_obs, 2), dtype=np.float32)
    sizes = adata.obs[COHORTS[name][0]].value_counts()
    adata = adata[adata.obs[COHORTS[name][0]].isin(sizes.index[sizes > 1])].copy()
    assert noticed(adata, *COHORTS[name]) == ""


def test_simulated_patients_raise_no_alarm():
    adata = tm.datasets.pbmc_cohort(n_patients=12, n_cells=30)
    adata.obsm["X_regulons"] = np.zeros((adata.n_obs, 2), dtype=np.float32)
    assert noticed(adata, "patient", "response") == noticed(adata, "patient", "response", "cohort") == ""


@pytest.mark.parametrize("column", ["ind", "patient"])
def test_two_patients_with_and_without_interferon_are_noticed(shared_data, column):
    adata = ad.read_h5ad(shared_data("kang_pbmc_ifnb.h5ad"))
    adata.obsm["X_regulons"] = np.zeros((adata.n_obs, 2), dtype=np.float32)
    assert noticed(adata, "sample_id", "group_id") == ""  # the file has no column with the patient
    adata.obs[column] = adata.obs["sample_id"].astype(str).str[-3:]
    message = noticed(adata, "sample_id", "group_id")
    assert f"obs[{column!r}] has 2 values for the 4 of 'sample_id', one for ['ctrl101', 'stim101']" in message
