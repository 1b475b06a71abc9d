"""``compression="auto"``: which one it is, and that it is nothing else than that one."""

import numpy as np
import pytest

from tcellmil.nn import NetworkConfig
from tcellmil.nn._network import AUTOENCODER_FROM


def test_the_number_of_patients_decides():
    assert NetworkConfig().for_patients(AUTOENCODER_FROM - 1).compression == "pca"
    assert NetworkConfig().for_patients(AUTOENCODER_FROM).compression == "autoencoder"


@pytest.mark.parametrize("compression", ["autoencoder", "pca", None])
@pytest.mark.parametrize("n_patients", [2, 1000])
def test_what_was_asked_for_is_kept(compression, n_patients):
    assert NetworkConfig(compression=compression).for_patients(n_patients).compression == compression


@pytest.mark.parametrize(("n_patients", "expected"), [(8, "pca"), (AUTOENCODER_FROM, "autoencoder")])
def test_auto_gives_what_its_choice_gives(make_bags, fit, split, n_patients, expected):
    bags = make_bags(n_patients=n_patients)
    replicas = split(2, bags)
    chosen, _ = fit(bags, replicas, network={"compression": "auto"})
    named, _ = fit(bags, replicas, network={"compression": expected})
    assert chosen.config == named.config and chosen.config.compression == expected
    for of_chosen, of_named in [(chosen.encoder, named.encoder), (chosen.classifier, named.classifier)]:
        assert of_chosen.keys() == of_named.keys()
        assert all(np.array_equal(of_chosen[name], of_named[name]) for name in of_chosen)


def test_patients_without_an_outcome_do_not_count(make_bags, fit, split):
    labels = [*[0, 1] * 3, *[-1] * AUTOENCODER_FROM]
    bags = make_bags(n_patients=len(labels), n_cells=3, labels=labels)
    stack, _ = fit(bags, split("loo", bags), network={"compression": "auto"}, max_epochs=1)
    assert stack.config.compression == "pca"
