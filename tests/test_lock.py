"""The lock of a run folder: one process at a time, and none that outlives its process."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from small import recipe_file, sslkit

from sslkit.errors import RunFolderError
from sslkit.lock import locked

HOLD = """
import multiprocessing, sys, time
from pathlib import Path
from sslkit.lock import locked
with locked(Path(sys.argv[1]), say=print):
    if "fork" in sys.argv:
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,)).start()
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def held(request, tmp_path):
    """A process that holds the lock of a folder, in a session of its own."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run"), *getattr(request, "param", ())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "held\n"
    yield tmp_path / "run", process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def said(text):
    raise AssertionError(text)


@pytest.mark.fault(
    "two runs in one folder",
    injected="a process that holds the lock",
    expected="the second is refused, and told process, host and since when",
    theme="process",
)
def test_the_second_is_refused_and_told_who_is_there(held):
    folder, process = held
    with pytest.raises(RunFolderError) as caught, locked(folder, say=said):
        pass
    assert f"{folder}: process {process.pid} on {os.uname().nodename} has been using this folder since 20" in str(caught.value)
    assert (folder / ".lock").exists()


@pytest.mark.parametrize("held", [("fork",)], indirect=True)
@pytest.mark.fault(
    "the holder of the lock was killed",
    injected="SIGKILL, with a child that lives on",
    expected="the folder is free, nothing to be deleted by hand",
    theme="process",
)
def test_the_lock_of_a_killed_process_does_not_hold_though_its_workers_live(held):
    folder, process = held
    process.kill()
    process.wait()
    with locked(folder, say=said):
        pass


def test_what_was_made_goes_again_and_what_was_put_there_stays(tmp_path):
    with locked(tmp_path / "runs" / "mine", say=said):
        assert [path.name for path in (tmp_path / "runs" / "mine").iterdir()] == [".lock"]
    assert not (tmp_path / "runs").exists()
    with locked(tmp_path / "runs" / "mine", say=said):
        (tmp_path / "runs" / "mine" / "recipe.toml").touch()
    assert [path.name for path in (tmp_path / "runs" / "mine").iterdir()] == ["recipe.toml"]
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "other", say=said):
        1 / 0  # noqa: B018
    assert not (tmp_path / "other").exists()


def test_a_lock_that_was_deleted_before_it_was_taken_is_taken_anew(tmp_path, monkeypatch):
    """The one before deletes the file between our opening and our locking of it."""
    take, taken = fcntl.lockf, []

    def late(handle, flags):
        if not taken:
            (tmp_path / ".lock").unlink()
        taken.append(handle)
        take(handle, flags)

    monkeypatch.setattr(fcntl, "lockf", late)
    with locked(tmp_path, say=said):
        assert (tmp_path / ".lock").exists()
    assert len(taken) == 2


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    sentences = []
    with locked(tmp_path, say=sentences.append):
        pass
    assert "this file system has no locks (No locks available)" in sentences[0]


def test_a_holder_that_has_not_written_its_name_yet(held):
    folder, _ = held
    (folder / ".lock").write_text("{")
    with pytest.raises(RunFolderError, match="another process uses this folder"), locked(folder, say=said):
        pass


@pytest.mark.fault(
    "a run folder that can't be written to",
    injected="a path below a file, and in `/proc`",
    expected="one message",
    theme="resources",
)
def test_what_can_not_be_made_is_one_message(tmp_path):
    (tmp_path / "file").touch()
    for name, says in (("file", "is a file, and a run needs a folder"), ("file/below", "can't be written to: Not a directory")):
        with pytest.raises(RunFolderError, match=says), locked(tmp_path / name, say=said):
            pass
    Path("/proc").exists() or pytest.skip("no place where nothing can be made")
    with pytest.raises(RunFolderError, match="can't be written to"), locked(Path("/proc/runs/mine"), say=said):
        pass


def test_run_and_eval_hold_it(held, tmp_path):
    folder, process = held
    says = f"process {process.pid} on"
    assert says in sslkit("run", recipe_file(tmp_path), "-o", folder, cwd=tmp_path, check=2).stderr
    assert [path.name for path in folder.iterdir()] == [".lock"]
    process.kill()
    process.wait()
    sslkit("run", recipe_file(tmp_path), "-o", folder, "--set", "train.epochs=2", cwd=tmp_path)
    assert not (folder / ".lock").exists()
    again = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert again.stdout.readline() == "held\n"
    before = (folder / "results.json").read_bytes()
    assert f"process {again.pid} on" in sslkit("eval", folder, cwd=tmp_path, check=2).stderr
    assert (folder / "results.json").read_bytes() == before
    again.kill()
    again.wait()
    again.stdout.close()
