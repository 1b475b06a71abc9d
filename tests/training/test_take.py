"""Rows of a stack by index: one row of indices for all replicas, or one each, of encoders that they may share."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tcellmil.training._stage import take


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5), st.integers(0, 999))
def test_it_is_plain_indexing(n_rows, n_values, n_taken, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand((n_rows, n_values, 3), generator=generator)
    index = torch.randint(n_values, (n_rows, n_taken), generator=generator)
    own = torch.arange(n_rows)[:, None]
    assert torch.equal(take(values, index), values[own, index])
    assert torch.equal(take(values[..., 0], index), values[..., 0][own, index])
    assert torch.equal(take(values, index[:1]), values[:, index[0]])
    rows = torch.randint(n_rows, (5,), generator=generator)
    of_five = torch.randint(n_values, (5, n_taken), generator=generator)
    assert torch.equal(take(values, of_five, rows), values[rows[:, None], of_five])
    assert torch.equal(take(values, of_five[:1], rows), values[rows[:, None], of_five[:1]])


@pytest.mark.parametrize("rows", [None, torch.tensor([0, 0])])
def test_values_that_are_repeated_in_memory_are_taken_too(rows):
    values = torch.arange(6.0).view(1, 3, 2).expand(2, -1, -1)
    index = torch.tensor([[2, 0], [1, 1]])
    assert torch.equal(take(values, index, rows), values[torch.tensor([[0], [1]]), index])
