"""What dependencies deprecate is an error in the tests where our own code calls it."""

import warnings

import pytest

DEPRECATED = [DeprecationWarning, PendingDeprecationWarning, FutureWarning]


def warn_from(module, category):
    """Warn as a dependency does with the stack level of its caller."""
    exec("import warnings\nwarnings.warn('use the other one', category)", {"__name__": module, "category": category})


@pytest.mark.parametrize("category", DEPRECATED)
@pytest.mark.parametrize("module", ["tcellmil", "tcellmil.tl._patients._fit_mil"])
def test_a_deprecated_call_of_our_own_is_an_error(module, category):
    with pytest.raises(category, match="use the other one"):
        warn_from(module, category)


@pytest.mark.parametrize("category", DEPRECATED)
def test_a_deprecated_call_of_another_package_is_not(category):
    with warnings.catch_warnings(record=True) as caught:
        warn_from("scanpy.plotting", category)
    assert [warning.category for warning in caught] == [category]
