"""Apart: one answer for each question, whatever becomes of the process that gives it."""

import time

from sslkit import apart

PROGRAM = """
import ctypes, os, signal, sys, time
from sslkit import apart

def answers():
    for number in range(int(sys.argv[1]), 5):
        print("for people", number, flush=True)
        if number == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == 2:
            os._exit(3)
        if number == 3 and sys.argv[2] == "hang":
            time.sleep(1000)
        yield {"number": number, "given": sys.argv[2]}

apart.give(answers())
"""


def test_each_end_costs_one_answer(tmp_path):
    with (tmp_path / "said").open("w") as said:
        found = list(apart.answers(PROGRAM, "hang", number=5, stderr=said, patience=5))
    assert [found[0], found[4]] == [{"number": 0, "given": "hang"}, {"number": 4, "given": "hang"}]
    assert [end.cause for end in found[1:4]] == ["SIGSEGV", "exit status 3", "no answer for too long"]
    assert [end.sentence for end in found[1:4]] == [
        "it crashes the process that imports it (SIGSEGV).",
        "it ends the process that imports it, with exit status 3.",
        "it blocks the process that imports it (no answer for too long).",
    ]
    assert (tmp_path / "said").read_text().count("for people") == 5


def test_who_wants_no_more_does_not_wait():
    found = apart.answers(
        "import sys, time; from sslkit import apart; apart.give(time.sleep(n * 1000) for n in range(2))", number=2
    )
    assert next(found) is None
    started = time.perf_counter()
    found.close()
    assert time.perf_counter() - started < 10


def test_a_signal_without_a_name():
    assert apart.Ended(-99).cause == "signal 99"
