"""What a plugin's author sees: a failing case, an exception that was declared, one that is no longer needed, a slip in the line."""

import re
import sys

import pytest

from sslkit.errors import UnknownName, UserError
from sslkit.registry import registry_of
from sslkit.testing import conformance
from sslkit.testing.conformance import checks_of

pytest_plugins = ["pytester"]

AUTHOR = """
import sslkit
from sslkit.testing import conformance

@sslkit.register("trackers", "mine")
class Mine:
    '''Drops the numbers it is handed.'''

    def __init__(self, folder): ...

    def __call__(self, step, numbers):
        {call}

    def close(self): ...

test_mine = conformance("trackers", "mine"{exceptions})
"""
NONE = ""
SHARED = ', exceptions={"numbers_are_left_alone": "the loss is all it looks at"}'


@pytest.fixture
def outcome(pytester):
    """`outcome(call, exceptions)` runs an author's one line and gives pytest's result."""

    def run(call: str, exceptions: str):
        pytester.makepyfile(AUTHOR.format(call=call, exceptions=exceptions))
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rxX")

    yield run
    registry_of("trackers")._registered.clear()


def test_a_failing_case_shows_what_is_asked_and_what_was_found(outcome):
    result = outcome("numbers.pop('loss', None)", NONE)
    result.assert_outcomes(failed=1, passed=len(checks_of("trackers")) - 1)
    result.stdout.fnmatch_lines(
        [
            "E *AssertionError: trackers: 'mine': It does not change the numbers it is handed: other trackers get the same.",
            "E *they became {'lr': 0.1, 'knn_top1': 0.5}.",
        ]
    )


def test_a_declared_exception_is_an_expected_failure(outcome):
    result = outcome("numbers.pop('loss', None)", SHARED)
    result.assert_outcomes(xfailed=1, passed=len(checks_of("trackers")) - 1)
    result.stdout.fnmatch_lines(["XFAIL *numbers_are_left_alone* - the loss is all it looks at*"])


def test_an_exception_that_is_not_needed_has_to_go(outcome):
    result = outcome("pass", SHARED)
    result.assert_outcomes(failed=1, passed=len(checks_of("trackers")) - 1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*the loss is all it looks at*"])


def test_an_exception_covers_the_assertion_alone(outcome):
    result = outcome("raise OSError('no network')", SHARED)
    assert result.parseoutcomes() == {"failed": 3, "passed": len(checks_of("trackers")) - 3}
    if sys.version_info >= (3, 11):
        assert re.search(r"OSError: no network\nE +trackers: 'mine': It does not change", result.stdout.str())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"exceptions": {"pickle": "it can't"}}, "no check of losses is called 'pickle'. Did you mean 'pickles'?"),
        ({"exceptions": {"pickles": " "}}, "exceptions: pickles: say why"),
        ({"parameters": {"temprature": 0.5}}, "parameters: temprature: 'nt_xent' has no such parameter. Did you mean"),
        ({"parameters": {"temperature": "warm"}}, "parameters: temperature: must be a number, is 'warm'."),
    ],
)
def test_a_slip_in_the_line_is_said(arguments, says):
    with pytest.raises(UserError, match=re.escape(says)):
        conformance("losses", "nt_xent", **arguments)


def test_what_is_not_there_is_said():
    with pytest.raises(UnknownName, match="Did you mean 'nt_xent'"):
        conformance("losses", "nt_xnet")
    with pytest.raises(UserError, match=r"parameters: size: is missing; 'center_crop' can't do without it\."):
        conformance("augmentations", "center_crop")
