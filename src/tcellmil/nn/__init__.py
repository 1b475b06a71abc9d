"""Stacks of small networks: every parameter has a leading axis, one slice per replica."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_layers": ["StackedDropout", "StackedLayerNorm", "StackedLinear"],
        "_input_units": ["StandardisedInput"],
        "_autoencoder": ["StackedAutoencoder"],
        "_projection": ["StackedProjection"],
        "_blocks": ["EncoderBlocks"],
        "_attention": ["StackedAttention", "pool_bags"],
        "_cohort": ["StackedClassifier"],
        "_losses": ["bag_cross_entropy", "instance_cross_entropy", "masked_mse"],
        "_network": ["NetworkConfig", "StackedBagClassifier"],
    },
)
