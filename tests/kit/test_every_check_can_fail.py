"""Each check of the kit is seen to fail on a component made for it, and says what it asks."""

from importlib import import_module

import pytest
from badness import assert_all_can_fail, assert_is_seen

from sslkit.registry import KINDS

BAD = {room: import_module(f"bad_{room}").bad for room in ("every_kind", *KINDS)}


@pytest.mark.parametrize("one", [case for bad in BAD.values() for case in bad.cases()])
@pytest.mark.fault(
    "a component of any kind that breaks its contract",
    injected="a bad component for each check of the kit",
    expected="`sslkit.testing` sees it by that check, and says what is asked",
    theme="plugins",
)
def test_is_seen(one):
    assert_is_seen(one)


@pytest.mark.parametrize("room", BAD)
def test_all_can_fail(room):
    assert_all_can_fail(room, BAD[room])
