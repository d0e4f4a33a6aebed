"""The doctor: what it says of a machine with faults, which are put into it here."""

import errno
import os
import re
import resource
import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fake_plugins import install  # noqa: F401 (a fixture)
from small import TEXT, recipe_file, sslkit

from sslkit import apart, limits, lock, machine, toml
from sslkit.doctor import arithmetic, examination, findings, needs, offers, packages, processor, recipe, report, room, terminal
from sslkit.doctor.findings import Asked, Finding

Usage = namedtuple("Usage", "total used free")
NOTHING = Asked(None, "runs")
GIB = 2**30


def only(found):
    (one,) = found
    return one


def asked(tmp_path, *overrides, text=TEXT, **more):
    return Asked(str(recipe_file(tmp_path, text)), str(tmp_path / "run"), overrides, **more)


# The machine


def test_a_sound_machine_has_a_line_for_each_point(tmp_path):
    found = [one for probe in examination.MACHINE.values() for one in probe(Asked(None, str(tmp_path / "run")))]
    assert {one.topic for one in found} >= {"sslkit", "python", *examination.MACHINE}
    assert all(one.text and (one.advice or one.state == "ok") for one in found)
    assert not list(tmp_path.iterdir())  # the run folder was tried, and nothing is left


def test_a_folder_that_can_t_be_written_to(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for name in ("file", "file/run"):
        found = only(room.run_folder(Asked(None, str(tmp_path / name))))
        assert found.state == "error"
        assert "-o FOLDER" in found.text

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(lock.os, "open", refuse)
    found = only(room.run_folder(Asked(None, str(tmp_path / "run"))))
    assert found.state == "error"
    assert "can't be written to: Read-only file system" in found.text


def test_a_folder_that_a_run_is_using(tmp_path, monkeypatch):
    def taken(*_):
        raise OSError(errno.EAGAIN, "taken")

    monkeypatch.setattr(lock.fcntl, "lockf", taken)
    assert "uses this folder" in only(room.run_folder(Asked(None, str(tmp_path)))).text


@pytest.mark.parametrize("probe", [room.run_folder, room.shared_memory])
def test_little_room_on_a_disk(tmp_path, monkeypatch, probe):
    monkeypatch.setattr(room, "SHARED_MEMORY", tmp_path)
    for free, state in ((GIB, "ok"), (64 * 2**20, "warning")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(GIB, 0, free))  # noqa: B023
        found = only(probe(Asked(None, str(tmp_path))))
        assert found.state == state
        assert ("64 MiB" in found.text) == (state == "warning")


@pytest.mark.parametrize(("limit", "state"), [(1024, "ok"), (resource.RLIM_INFINITY, "ok"), (256, "warning")])
@pytest.mark.fault(
    "few open files allowed",
    injected="a low limit",
    expected="`sslkit doctor` says it",
    theme="resources",
)
def test_few_open_files(monkeypatch, limit, state):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, resource.RLIM_INFINITY))
    assert only(room.open_files(NOTHING)).state == state


def test_little_memory(monkeypatch):
    for available, state in ((4 * GIB, "ok"), (None, "ok"), (GIB // 2, "warning")):
        monkeypatch.setattr(limits, "memory", lambda: limits.Memory(8 * GIB, available, 6 * GIB))  # noqa: B023
        found = only(room.memory(NOTHING))
        assert found.state == state
        assert "limited to 6.0 GiB by the control group" in found.text


def test_a_control_group_that_pays_for_fewer_cores(monkeypatch):
    monkeypatch.setattr(limits, "cores", lambda: limits.Cores(64, 16, 3.5))
    found = only(processor.cores(NOTHING))
    assert found.state == "warning"
    assert found.text.startswith("4 usable of 64: 16 allowed")
    assert "OMP_NUM_THREADS=4" in found.advice


def test_a_processor_without_avx2(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")
    for flags, state in (("fpu avx avx2", "ok"), ("fpu avx", "warning")):
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: Old One\nflags\t\t: {flags}\n")
        found = only(processor.processor(NOTHING))
        assert found.state == state
        assert found.text.startswith("Old One; avx")


def test_an_encoding_that_is_not_utf8(monkeypatch):
    assert only(terminal.encoding(NOTHING)).state == "ok"
    monkeypatch.setattr(terminal.locale, "getpreferredencoding", lambda _: "ANSI_X3.4-1968")
    assert "PYTHONUTF8=1" in only(terminal.encoding(NOTHING)).advice


# Packages and plugins


def test_every_package_that_sslkit_needs_is_looked_at():
    project, _ = toml.parse((Path(__file__).parents[1] / "pyproject.toml").read_text())
    needed = {re.match(r"[\w-]+", line)[0] for line in project["project"]["dependencies"]}
    assert set(packages.NEEDED) | {"tomli"} == needed


def test_a_version_that_sslkit_was_not_made_for(monkeypatch):
    monkeypatch.setattr(packages, "requires", lambda _: ["NumPy>=1.26,<2", "rich>=1; python_version < '3'"])
    monkeypatch.setattr(packages, "version", lambda _: "2.4.6")
    found = only(packages.imported("numpy")(NOTHING))
    assert found.state == "warning"
    assert found.text == "2.4.6, and this sslkit was made for <2,>=1.26"
    assert only(packages.imported("rich")(NOTHING)).state == "ok"


def test_two_packages_that_bring_one_module(monkeypatch):
    there = {"opencv-python": "4.1", "opencv-python-headless": "5.0"}

    def version(name):
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(packages, "version", version)
    probe = packages.imported("opencv-python-headless")
    assert "opencv-python-headless 5.0, opencv-python 4.1 write over each other" in only(probe(NOTHING)).text
    del there["opencv-python-headless"]
    assert only(probe(NOTHING)) == Finding("ok", "opencv-python-headless", "4.1 (opencv-python)")


@pytest.mark.parametrize(
    ("text", "says"),
    [("raise OSError('libGL.so.1: not found')", "OSError: libGL.so.1: not found"), ("raise SystemExit(3)", "SystemExit: 3")],
)
def test_a_package_that_can_t_be_imported(tmp_path, monkeypatch, text, says):
    (tmp_path / "broken_here.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(packages.NEEDED, "numpy", "broken_here")
    found = only(packages.imported("numpy")(NOTHING))
    assert found.state == "error"
    assert says in found.text
    assert found.advice == "pip install --force-reinstall numpy"


def test_plugins_that_work_and_that_do_not(install):  # noqa: F811
    loss = "class Loss:\n    def __call__(self, z1, z2):\n        return (z1 - z2).sum()\n"
    install("fake-fine", "[sslkit.losses]\nfine = fake_fine:Loss\n", fake_fine=loss)
    install("fake-bad", "[sslkit.losses]\nbad = fake_bad:Loss\n", fake_bad="import os; os._exit(3)")
    install("fake-torn", "[sslkit.losses\n")
    found = list(offers.plugins(NOTHING))
    assert found[0] == Finding("ok", "fake-fine 1.0", "losses: fine")
    assert [one.state for one in found[1:]] == ["warning", "warning"]
    assert "losses/bad: it ends the process that imports it, with exit status 3" in found[1].text
    assert "entry points can't be read" in found[2].text


# Arithmetic


def test_arithmetic_on_this_machine():
    for probe in (arithmetic.variables, arithmetic.numpy_blas, arithmetic.torch_blas, arithmetic.precision, arithmetic.trial):
        assert only(probe(NOTHING)).state == "ok"


def test_more_threads_than_cores_and_fewer(monkeypatch):
    monkeypatch.setattr(limits, "cores", lambda: limits.Cores(4, 4, None))
    for threads, variable, state in ((4, None, "ok"), (8, None, "warning"), (2, None, "ok"), (2, "2", "warning")):
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)  # noqa: B023
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
        if variable:
            monkeypatch.setenv("OMP_NUM_THREADS", variable)
        assert only(arithmetic.torch_threads(NOTHING)).state == state


@pytest.mark.fault(
    "a GPU that torch does not find",
    injected="a driver without torch's support, by a stand-in",
    expected="`sslkit doctor` says what was found",
    theme="resources",
)
def test_a_driver_and_a_torch_that_does_not_find_the_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(arithmetic, "_DRIVER", tmp_path / "version")
    assert only(arithmetic.devices(NOTHING)).text.startswith("no CUDA device was found: networks run on the CPU.")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.1.2  May\n")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "is built without CUDA" in only(arithmetic.devices(NOTHING)).advice
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES='' hides it" in only(arithmetic.devices(NOTHING)).advice


def test_a_gpu(tmp_path, monkeypatch):
    About = namedtuple("About", "name major minor")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: About("GPU X", 9, 0))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (70 * GIB, 80 * GIB))
    monkeypatch.setattr(arithmetic, "_DRIVER", tmp_path / "version")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.1.2  May\n")
    found = only(arithmetic.devices(NOTHING))
    assert (found.state, found.topic) == ("ok", "cuda:0")
    assert found.text.startswith("GPU X, 80.0 GiB, 70.0 GiB free, compute capability 9.0")
    assert found.text.endswith("driver 470.1.2")


# The recipe


def test_a_recipe_that_this_machine_can_do(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: limits.Memory(8 * GIB, 8 * GIB, None))
    found = [one for probe in examination.OF_RECIPE.probes.values() for one in probe(asked(tmp_path))]
    assert {one.state for one in found} == {"ok"}
    assert [one.topic for one in found] == list(examination.OF_RECIPE.probes)
    assert "60 images of 10 classes, not decoded; 3 steps an epoch, 9 in all" in found[1].text
    assert not (tmp_path / "run").exists()


def test_all_that_check_finds(tmp_path):
    found = list(recipe.check(asked(tmp_path, "train.epochs=-1", "loss.temprature=3")))
    assert [one.state for one in found] == ["error", "error"]
    assert "Did you mean 'temperature'?" in found[0].text


def folder_of_images(folder, *, classes=("a", "b"), splits=("train",)):
    for split in splits:
        for name in classes:
            (folder / split / name).mkdir(parents=True)
            for number in range(20):
                cv2.imwrite(str(folder / split / name / f"{number}.png"), np.full((16, 16, 3), number, np.uint8))


def test_images_that_are_not_there(tmp_path):
    data = f'data={{name="image_folder", root="{tmp_path / "imagse"}"}}'
    (tmp_path / "images").mkdir()
    found = only(recipe.data(asked(tmp_path, data)))
    assert found.state == "error"
    assert "Did you mean 'images'?" in found.text
    assert not list(recipe.evaluations(asked(tmp_path, data)))  # which lack the same
    there = f'data={{name="cifar10", root="{tmp_path / "none"}", download=true}}'
    waits = only(recipe.data(asked(tmp_path, there)))
    assert waits.state == "warning"
    assert "downloads it" in waits.advice


def test_images_are_counted_and_none_is_decoded(tmp_path, monkeypatch):
    folder_of_images(tmp_path / "images")
    for path in (tmp_path / "images").rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])  # a header, and nothing behind it
    data = f'data={{name="image_folder", root="{tmp_path / "images"}"}}'
    found = only(recipe.data(asked(tmp_path, data)))
    assert found.state == "ok"
    assert "40 images of 2 classes" in found.text
    with pytest.raises(Exception, match=r"evaluate\.0 \(knn\): test: "):
        list(recipe.evaluations(asked(tmp_path, data)))


def test_a_layer_that_the_head_has_not(tmp_path):
    found = examination._found("evaluations", lambda: recipe.evaluations(asked(tmp_path, 'evaluate.0.layer="head.9"')))
    assert only(found).state == "error"
    assert "evaluate.0 (knn)" in only(found).text


def test_images_without_the_labels_that_the_training_learns_from(tmp_path):
    (tmp_path / "images" / "train").mkdir(parents=True)
    for number in range(20):
        cv2.imwrite(str(tmp_path / "images" / "train" / f"{number}.png"), np.zeros((16, 16, 3), np.uint8))
    data = f'data={{name="image_folder", root="{tmp_path / "images"}"}}'
    found = list(recipe.data(asked(tmp_path, data, 'loss={name="sup_con"}')))
    assert found[0].state == "error"
    assert "has no labels" in found[0].text


def test_the_folder_of_another_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "resolved.toml").write_text("[train]\nepochs = 7\n")
    found = examination._found("run folder", lambda: recipe.folder(asked(tmp_path)))
    assert only(found).state == "error"
    assert "holds a run of another recipe" in only(found).text


def test_a_recipe_that_can_t_fit_in_memory_and_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: limits.Memory(8 * GIB, GIB, None))
    assert only(needs.memory(asked(tmp_path))).state == "ok"
    large = asked(tmp_path, "train.batch_size=65536")
    found = only(needs.memory(large))
    assert found.state == "error"
    way_out = re.search(r"--set (train\.micro_batch=\d+)", found.advice)[1]
    assert only(needs.memory(large._replace(overrides=(*large.overrides, way_out)))).state == "ok"
    doubled = f"{way_out.partition('=')[0]}={2 * int(way_out.partition('=')[2])}"
    assert only(needs.memory(large._replace(overrides=(*large.overrides, doubled)))).state == "warning"
    monkeypatch.setattr(limits, "memory", lambda: limits.Memory(8 * GIB, 1000, None))
    assert "Even two images do not fit" in only(needs.memory(large)).advice


def test_checkpoints_without_room(tmp_path, monkeypatch):
    keeping = asked(tmp_path, "train.keep_every_epochs=1")
    assert only(needs.checkpoints(keeping)).state == "ok"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(GIB, 0, 1000))
    found = only(needs.checkpoints(keeping))
    assert found.state == "error"
    assert "3 on the way and 3 that train.keep_every_epochs keeps" in found.text


def test_workers_without_a_core_and_without_shared_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "cores", lambda: limits.Cores(4, 4, None))
    monkeypatch.setattr(needs, "SHARED_MEMORY", tmp_path)
    free = []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(GIB, 0, free[0]))
    slots = 4 * 16 * 2 * 12 * 12 * 3 * 4  # 2 + 3 x 2 / 4 slots of 16 images of 2 views, float32
    for number, room_left, states in (
        (3, slots, ["ok", "ok"]),
        (3, slots - 1, ["ok", "error"]),
        (4, GIB, ["warning", "ok"]),
        (0, 0, ["ok"]),
    ):
        free[:] = [room_left]
        assert [one.state for one in needs.workers(asked(tmp_path, f"data.workers={number}"))] == states


def test_bf16_where_it_is_emulated(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "device", lambda: torch.device("cpu"))
    for native, state in ((True, "ok"), (False, "warning")):
        monkeypatch.setattr(machine, "native_bf16", lambda: native)  # noqa: B023
        assert only(needs.precision(asked(tmp_path, 'train.precision="bf16"'))).state == state


@pytest.mark.fault(
    "more processes than devices, cores or images",
    injected="such numbers asked for",
    expected="`sslkit doctor` says so",
    theme="resources",
)
def test_more_processes_than_devices_cores_or_images(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "cores", lambda: limits.Cores(4, 4, None))
    for gpus, number, state in ((0, 4, "ok"), (0, 5, "warning"), (2, 2, "ok"), (2, 3, "error"), (2, 1, "warning")):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)  # noqa: B023
        assert only(needs.processes(asked(tmp_path, num_processes=number))).state == state
    found = examination._found("processes", lambda: needs.processes(asked(tmp_path, num_processes=17)))
    assert "17 processes share 16 images" in only(found).text


# The report


def test_lines_fit_the_terminal_and_hide_nothing():
    found = [findings.error("run\x1b[31m folder", f"{'words ' * 30}/a/{'very' * 30}/path é", "do this " * 12)]
    lines = [
        line for text in report.section_lines("a title", found, width=80, encoding="ascii") for line in str(text).split("\n")
    ]
    assert lines[0] == "a title"
    assert lines[-1] == ""
    long = [line for line in lines if len(line) > 80]
    assert len(long) == 1
    assert f"/a/{'very' * 30}/path" in long[0]
    assert "\x1b" not in "".join(lines)
    assert "\\xe9" in " ".join(lines)
    assert all(line == line.rstrip() for line in lines)
    assert any(line.lstrip().startswith("-> do this") for line in lines)


@pytest.mark.parametrize(
    ("states", "says"), [("ok", "Nothing is wrong."), ("error", "1 error, 0 warnings."), ("warning", "0 errors, 1 warning.")]
)
def test_the_verdict(states, says):
    assert report.verdict([Finding(states, "a", "b")]) == says


def test_a_fault_of_the_doctor_is_not_its_end():
    def probe():
        yield findings.ok("a", "b")
        raise KeyError("model name")

    found = examination._found("a", probe)
    assert [one.state for one in found] == ["ok", "warning"]
    assert "KeyError: 'model name'" in found[1].text
    assert examination._found("a", probe, needed=True)[1].state == "error"


def test_a_probe_that_the_system_kills(tmp_path):
    with (tmp_path / "said").open("w+") as said:
        asked_for = examination._ended("memory", apart.Ended(-9), examination.OF_RECIPE, said)
        aside = examination._ended("device", apart.Ended(None), examination.APART[1], said)
    assert asked_for.state == "error"
    assert "was ended, SIGKILL (the system does that when memory runs out)." in asked_for.text
    assert (aside.state, "no answer for too long" in aside.text) == ("warning", True)


# The command


def fakes(tmp_path, **modules):
    folder = tmp_path / "fakes"
    folder.mkdir()
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_the_command_and_its_exit_status(tmp_path):
    done = sslkit("doctor", recipe_file(tmp_path), "-o", "here", cwd=tmp_path)
    assert [line for line in done.stdout.splitlines() if line and line[0] != " " and "  " not in line][:5] == [
        "machine",
        "packages",
        "arithmetic",
        "plugins",
        "the recipe",
    ]
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120 or str(tmp_path) in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]
    assert "name one" in sslkit("doctor", "--nproc", "2", cwd=tmp_path, check=2).stderr
    assert "no such recipe. Did you mean 'quickstart'" in sslkit("doctor", "quikstart", cwd=tmp_path, check=2).stderr


def test_a_package_that_crashes_at_import_is_one_line(tmp_path):
    crash = (
        "import os, sys\nprint('of C', flush=True)\nprint('bad wheel', file=sys.stderr, flush=True)\nos.kill(os.getpid(), 11)"
    )
    environment = fakes(tmp_path, faiss=crash, safetensors="import os; os._exit(4)")
    done = sslkit("doctor", recipe_file(tmp_path), cwd=tmp_path, check=2, env=environment)
    text = " ".join(done.stdout.split())
    assert "error faiss-cpu it crashes the process that imports it (SIGSEGV). Its last words: bad wheel" in text
    assert "error safetensors it ends the process that imports it, with exit status 4." in text
    assert re.search(r"ok +pillow", done.stdout)
    assert re.search(r"ok +packaging", done.stdout)
    assert "of C" not in done.stdout
    recipe_part = done.stdout.partition("the recipe\n")[2]
    assert recipe_part.count("error") == 2  # one line, and the count: the other probes would say the same


@pytest.mark.fault(
    "a plugin that ends the process at import",
    injected="a module that crashes",
    expected="`sslkit doctor` says it, and does not end with it",
    theme="plugins",
)
def test_a_plugin_that_crashes_and_that_the_recipe_names(tmp_path):
    environment = fakes(tmp_path, fake_bad="import os; os.kill(os.getpid(), 11)")
    info = tmp_path / "fakes" / "fake_bad-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[sslkit.losses]\nbad = fake_bad:Loss\n")
    named = ("--set", 'loss={name="bad"}')
    done = sslkit("doctor", recipe_file(tmp_path), *named, cwd=tmp_path, check=2, env=environment)
    assert "losses/bad: it crashes the process that imports it (SIGSEGV)." in done.stdout
    assert "the process that did was ended, SIGSEGV." in done.stdout
    assert done.stdout.rstrip().endswith("1 error, 1 warning.") or "1 error" in done.stdout.splitlines()[-1]
