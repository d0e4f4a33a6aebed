"""A process that reads hostile files with sslkit's real readers, each in a child of its own that is watched.

It answers each line of JSON, {reader, path, seconds}, by one, {outcome, message, forbidden, grew, output}. The child refuses and
notes what no reader has to do (`WATCHED`, and files opened for writing outside of the folder of the file), is killed when its
time is up, and says by how many bytes its memory grew at most.
"""

import contextlib
import io
import json
import os
import resource
import select
import signal
import sys
import sysconfig
from pathlib import Path

import readers

WATCHED = (
    "ctypes.dlopen", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pickle.find_class", "pty.spawn",
    "socket.__new__", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess", "urllib",
    "webbrowser",
)  # fmt: skip
CHANGES = ("os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate", "shutil")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EXACTLY = os.O_EXCL | os.O_NOFOLLOW  # what is opened so is no link, or an error
OWN_CODE = [
    os.path.realpath(path)
    for path in (sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), Path(readers.__file__).parents[2])
]
# Modules of the standard library that make classes out of text of their own.
MAKES_CODE = ("collections", "dataclasses", "typing", "inspect", "enum", "functools", "pydantic", "annotationlib", "six")


class Forbidden(BaseException):
    """Not an Exception, so that no reader takes it for a damaged file."""


class Watch:
    """The audit hook."""

    def __init__(self, folder: Path, *, may_run: bool) -> None:
        self.folder = os.path.realpath(folder)
        self.may_run = may_run  # Python files of the folder: a plugin that a recipe names is imported
        self.found: list[str] = []

    def __call__(self, event: str, arguments: tuple) -> None:
        if self.refused(event, arguments):
            self.found.append(f"{event} {arguments!r}"[:200])
            raise Forbidden(event)

    def refused(self, event: str, arguments: tuple) -> bool:
        if event == "open":
            path, _, flags = arguments
            return bool(flags & WRITING) and not isinstance(path, int) and not self.inside(path, follow=not flags & EXACTLY)
        if event.startswith(CHANGES):
            return not all(self.inside(path, follow=False) for path in arguments if isinstance(path, str | bytes))
        if event in ("exec", "compile"):
            code = arguments[0].co_filename if event == "exec" else arguments[1]
            code = os.fsdecode(code or b"")
            return not is_own(code) and not (self.may_run and self.inside(code, follow=True))
        return event.startswith(WATCHED)

    def inside(self, path: str | bytes, *, follow: bool) -> bool:
        """Whether a file is in the folder; of a link that is removed or renamed, whether the link is."""
        above, name = os.path.split(os.fsdecode(path))
        place = os.path.realpath(path) if follow else f"{os.path.realpath(above)}/{name}"
        return os.fsdecode(place) == os.devnull or (os.fsdecode(place) + "/").startswith(self.folder + "/")


def is_own(filename: str) -> bool:
    if filename.startswith("<"):  # made of text: only by those who make classes so
        frame = sys._getframe(3)
        return frame.f_globals.get("__name__", "").startswith(MAKES_CODE) or filename.startswith("<frozen")
    return any(os.path.realpath(filename).startswith(place) for place in OWN_CODE)


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(reader: str, path: Path, answer: int) -> None:
    """Read the file, and write what became of it."""
    from sslkit.errors import SslkitError

    folder = path if path.is_dir() else path.parent
    read = getattr(readers, reader)
    watch, before, output = Watch(folder, may_run=reader == "use_plugins"), peak(), io.StringIO()
    sys.stdout = sys.stderr = output
    try:
        sys.addaudithook(watch)
        outcome, message = "success", str(read(path) or "")
    except SslkitError as error:
        outcome, message = "SslkitError", str(error)
    except BaseException as error:
        outcome, message = type(error).__name__, str(error)
    found = {
        "outcome": outcome,
        "message": message[:20000],
        "forbidden": watch.found,
        "grew": peak() - before,
        "output": output.getvalue()[:20000],
    }
    os.write(answer, json.dumps(found).encode() + b"\n")


def watched(reader: str, path: Path, seconds: float) -> dict:
    """What became of a file."""
    come, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(reader, path, go)
        finally:
            os._exit(0)
    os.close(go)
    with os.fdopen(come, "rb") as answers:
        ready, _, _ = select.select([answers], [], [], seconds)
        line = answers.readline() if ready else b""
    if not ready:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if line:
        return json.loads(line)
    outcome = "hang" if not ready else f"died of signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "gone"
    return {"outcome": outcome, "message": "", "forbidden": [], "grew": 0, "output": ""}


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    with contextlib.redirect_stdout(io.StringIO()):
        readers.warm_up(Path(sys.argv[1]))
    print("{}", flush=True)
    for asked in map(json.loads, sys.stdin):
        print(json.dumps(watched(asked["reader"], Path(asked["path"]), asked["seconds"])), flush=True)
