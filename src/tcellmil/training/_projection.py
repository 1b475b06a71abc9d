"""Encoders without training: standardised features, or their principal components."""

from __future__ import annotations

import numpy as np
import torch

from tcellmil.data._bags import Bags
from tcellmil.fitted._scaling import Scaling, scale_cells
from tcellmil.nn._network import NetworkConfig
from tcellmil.nn._projection import StackedProjection

from ._input_units import centre_and_spread


def fit_projection(bags: Bags, scaling: Scaling, train: np.ndarray, network: NetworkConfig) -> StackedProjection:
    """Standardised features, or their principal components, of the bags that each row of ``train`` marks.

    The parameters are those of :func:`train_autoencoder`; nothing is random.
    """
    n_latent = network.n_latent if network.compression == "pca" else None
    stack = StackedProjection(len(train), bags.x.shape[1], n_latent)
    stack.set_input_units(*(torch.from_numpy(m[:, None]) for m in centre_and_spread(bags, scaling, train)))
    if n_latent is not None:
        loc, scale = torch.from_numpy(scaling.loc), torch.from_numpy(scaling.scale)
        # Seeds of a fold train on the same cells, which have the same components.
        _, first, same = np.unique(train, axis=0, return_index=True, return_inverse=True)
        for k in first:
            row = slice(None) if len(loc) == 1 else slice(k, k + 1)
            x = torch.from_numpy(bags.x[train[k, bags.bag_of_cell]])[None]
            stack.fit_components(k, scale_cells(x, loc[row], scale[row])[0])
        stack.components.copy_(stack.components[first][same.ravel()])
    return stack
