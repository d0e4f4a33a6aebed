"""Each check of optimizers is seen to fail, and says what it asks."""

import pytest
from bad_optimizers import bad
from badness import assert_all_can_fail, assert_is_seen


@pytest.mark.parametrize("one", bad.cases())
@pytest.mark.fault(
    "an optimizer that breaks its contract",
    injected="one bad example for each check of the kit",
    expected="`sslkit.testing` sees each",
    theme="plugins",
)
def test_is_seen(one):
    assert_is_seen(one)


def test_all_can_fail():
    assert_all_can_fail("optimizers", bad)
