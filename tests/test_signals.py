"""Signals: heard wherever a run is, answered where nothing is lost, and told apart by the exit status."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console
from small import STEPS, TEXT, recipe_file

from sslkit import checkpoint_folder, cli
from sslkit.datasets.shapes import Shapes
from sslkit.errors import OtherRankFailed, Preempted, SslkitError, Stopped
from sslkit.folder import RunFolder
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run
from sslkit.running import Run
from sslkit.signals import StopRequest, awaited, left_to_parent, stop_request

QUIET = Lines(Console(file=io.StringIO()))


def raised(number):
    """Send this process a signal; its handler has run when this comes back."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "kind"), [("SIGINT", Stopped), ("SIGTERM", Preempted), ("SIGUSR1", Preempted)])
@pytest.mark.fault(
    "SIGINT, SIGTERM or SIGUSR1",
    injected="the signal is raised in the process",
    expected="the handler only remembers it; the exit status tells which it was",
    theme="process",
)
def test_a_signal_is_remembered_and_says_who_asked(number, kind):
    before = signal.getsignal(getattr(signal, number))
    with stop_request() as stop:
        assert not stop
        raised(getattr(signal, number))
        assert stop
        with pytest.raises(Stopped) as caught:
            stop.poll()
        assert type(caught.value) is kind
    assert signal.getsignal(getattr(signal, number)) == before
    assert (Stopped.exit_status, Preempted.exit_status) == (130, 75)


def test_the_second_interrupt_is_at_once_and_nothing_else_is():
    with stop_request() as stop:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            raised(number)
        assert stop.number == signal.SIGTERM, "the first one decides"
        with pytest.raises(KeyboardInterrupt):
            raised(signal.SIGINT)


def test_at_once_means_wherever_the_work_stands():
    with stop_request() as stop:
        went_on = False
        with pytest.raises(Preempted), stop.at_once():  # noqa: PT012
            raised(signal.SIGTERM)
            went_on = True
        assert not went_on
        with pytest.raises(Preempted), stop.at_once():
            raise AssertionError("it was asked before")
        raised(signal.SIGTERM)  # outside it is a flag again


def test_what_is_awaited_is_interrupted_where_nothing_is_lost():
    def slow():
        yield 1
        raised(signal.SIGTERM)
        yield 2
        yield 3

    with stop_request() as stop:
        found = []
        with pytest.raises(Preempted):
            found.extend(awaited(slow(), stop))
        assert found == [1]
        seen = list(awaited(iter([1, 2]), StopRequest()))
        assert seen == [1, 2]
        assert list(awaited(slow(), StopRequest(), when=lambda: False)) == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_worker_leaves_signals_to_the_run():
    with stop_request() as stop, stop.at_once():
        child = os.fork()
        if child == 0:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
                raised(number)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_worker_ends_when_its_parent_says_so_and_by_nobody_elses_word():
    said, ready = os.pipe()
    child = os.fork()
    if child == 0:
        left_to_parent()
        os.write(ready, b"x")
        time.sleep(60)
        os._exit(7)
    os.read(said, 1)
    for number in ("TERM", "INT", "USR1"):
        subprocess.run(["kill", f"-{number}", str(child)], check=True)
    time.sleep(0.2)
    assert os.waitpid(child, os.WNOHANG) == (0, 0)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(said), os.close(ready)


def started(folder, *, overrides=()):
    return run(Recipe.parse(TEXT, name="small", overrides=overrides), folder, report=QUIET)


def steps_saved(folder):
    found = checkpoint_folder.newest(folder / "checkpoints")
    return None if found is None else found.facts["step"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return started(folder).encoder.read_bytes()


@pytest.mark.parametrize("overrides", [[], ["train.micro_batch=8"]])
@pytest.mark.fault(
    "a signal before the first batch is there",
    injected="raised while the batch is awaited",
    expected="the wait is dropped",
    theme="process",
)
def test_while_the_first_batch_is_awaited(tmp_path, monkeypatch, overrides):
    monkeypatch.setattr(Shapes, "sizes", lambda *_: raised(signal.SIGTERM))
    with pytest.raises(Preempted, match="stopped, before there was anything to save. The same command goes on from there"):
        started(tmp_path / "run", overrides=[*overrides, "evaluate=[]"])
    assert steps_saved(tmp_path / "run") is None


def test_while_a_later_batch_is_awaited_what_is_done_is_saved(tmp_path, monkeypatch, weights):
    sizes, asked = Shapes.sizes, []

    def sixth(self, indices):
        asked.append(1)
        if len(asked) == 6:
            raised(signal.SIGTERM)
        return sizes(self, indices)

    monkeypatch.setattr(Shapes, "sizes", sixth)
    with pytest.raises(Preempted, match="saved in"):
        started(tmp_path, overrides=["evaluate=[]", "train.checkpoint_every_epochs=9"])
    assert steps_saved(tmp_path) == 5
    assert started(tmp_path).encoder.read_bytes() == weights


def test_in_micro_batches_a_step_in_the_middle_is_finished(tmp_path, monkeypatch):
    sizes, asked = Shapes.sizes, []

    def in_the_second_step(self, indices):
        asked.append(1)
        if len(asked) == 6:
            raised(signal.SIGTERM)
        return sizes(self, indices)

    monkeypatch.setattr(Shapes, "sizes", in_the_second_step)
    with pytest.raises(Preempted):
        started(tmp_path, overrides=["evaluate=[]", "train.micro_batch=8"])
    assert steps_saved(tmp_path) == 2


@pytest.mark.parametrize("place", ["evaluations.knn:KNN", "evaluations.linear_cached:LinearProbeCached"])
@pytest.mark.fault(
    "SIGUSR1 during an evaluation",
    injected="raised inside of the evaluation",
    expected="it is dropped, and made anew by the next start",
    theme="process",
)
def test_in_the_middle_of_an_evaluation(tmp_path, monkeypatch, weights, place):
    from importlib import import_module

    module, _, name = place.partition(":")
    evaluation = getattr(import_module(f"sslkit.{module}"), name)
    monkeypatch.setattr(evaluation, "__call__", lambda self, train, test: raised(signal.SIGUSR1))
    with pytest.raises(Preempted):
        started(tmp_path)
    assert steps_saved(tmp_path) == (3 if "knn" in place else STEPS)
    monkeypatch.undo()
    assert started(tmp_path).encoder.read_bytes() == weights


@pytest.mark.fault(
    "SIGTERM during the write of a checkpoint",
    injected="raised at the sync of the file",
    expected="the write is completed",
    theme="process",
)
def test_while_a_checkpoint_is_written_it_is_finished(tmp_path, monkeypatch):
    fsync = os.fsync

    def interrupted(handle):
        raised(signal.SIGTERM)
        fsync(handle)

    work = Run(Recipe.parse(TEXT, overrides=["evaluate=[]"]), RunFolder(tmp_path), report=QUIET, stop=StopRequest())
    with stop_request() as work.stop:
        monkeypatch.setattr(os, "fsync", interrupted)
        work._save(4, kept_epoch=None)
        assert work.stop
    assert steps_saved(tmp_path) == 4


def main_with(monkeypatch, error):
    """The exit status of the command line where a command raises `error`."""

    def fail(**_):
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(sys, "argv", ["sslkit"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


def test_each_class_of_error_has_its_exit_status(monkeypatch, capsys):
    kinds = [kind for kind in SslkitError.__subclasses__() if kind is not OtherRankFailed]
    statuses = {kind.__name__: main_with(monkeypatch, kind("x")) for kind in kinds}
    expected = {"CheckpointError": 5, "NonFiniteError": 6, "ResourceError": 7, "RankLost": 76, "Stopped": 130, "UserError": 2}
    assert statuses == expected
    assert main_with(monkeypatch, OtherRankFailed("x", exit_status=75)) == 75
    assert main_with(monkeypatch, Preempted("x")) == 75
    assert main_with(monkeypatch, KeyboardInterrupt()) == 130
    assert main_with(monkeypatch, OSError(28, "No space left on device", "x")) == 7
    assert main_with(monkeypatch, PermissionError(13, "Permission denied", "x")) == 1


def test_a_fault_of_ours_ends_with_1_and_a_traceback(tmp_path):
    broken = (
        "from sslkit.cli import main; from sslkit.running import Run\n"
        "def _on_step(*_): raise RuntimeError('a fault')\n"
        "Run._on_step = _on_step; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", broken, "run", str(recipe_file(tmp_path))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.fault(
    "a signal that reaches workers too, and a second Ctrl-C",
    injected="SIGTERM, or SIGINT twice, to the process group",
    expected="exit status 75 or 130, and no error of the workers",
    theme="process",
)
def test_sigterm_to_the_whole_group_with_workers_and_a_second_interrupt(tmp_path):
    """As `systemctl stop`, or Ctrl-C on a terminal, which reach workers too."""
    command = [sys.executable, "-m", "sslkit", "run", str(recipe_file(tmp_path))]
    command += ["--set", "data.workers=2", "--set", "train.epochs=300"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for numbers, statuses in (([signal.SIGTERM], (75,)), ([signal.SIGINT, signal.SIGINT], (130,))):
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        while not process.stdout.readline().startswith("step "):
            assert process.poll() is None
        for number in numbers:
            os.killpg(process.pid, number)
            time.sleep(0.002)
        errors = process.communicate(timeout=100)[1]
        assert process.returncode in statuses, errors
        assert "Traceback" not in errors
        assert errors.count("stopping after this step") == 1
