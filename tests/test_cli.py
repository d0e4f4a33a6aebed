"""The command line: quick to start, one message for each mistake, and the right exit status."""

import json
import subprocess
import sys

import numpy as np
import pytest
from small import TEXT, recipe_file, sslkit

import sslkit as package

HEAVY = ("torch", "pydantic", "numpy", "cv2")


def modules_after(*arguments, prefix="pass"):
    """What a command has imported when it ends."""
    code = (
        f"import sys; {prefix}; sys.argv = ['sslkit', *{list(arguments)!r}]\n"
        "from sslkit.cli import main\n"
        "try: main()\n"
        "except SystemExit as done: assert done.code == 0, done.code\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split("MODULES")[1].split())


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], HEAVY),
        (["list"], ["torch", "numpy", "cv2"]),
        (["list", "losses"], ["torch", "numpy", "cv2"]),
        (["recipes"], ["torch", "numpy", "cv2"]),
        (["copy", "quickstart", "TMP/mine.toml"], ["torch", "numpy", "cv2"]),
        (["plugins"], ["torch", "numpy", "cv2"]),
        (["compare", "--help"], ["torch", "numpy", "cv2"]),
        (["doctor", "--help"], ["torch", "numpy", "cv2"]),
    ],
)
def test_what_starts_quickly_does_not_import_torch(arguments, absent, tmp_path):
    arguments = [argument.replace("TMP", str(tmp_path)) for argument in arguments]
    assert not modules_after(*arguments) & set(absent)


def test_the_test_above_can_fail():
    assert {"torch", "numpy"} <= modules_after("list", prefix="import torch")


def test_list_and_recipes(tmp_path):
    listed = sslkit("list", "losses", cwd=tmp_path).stdout
    assert "nt_xent" in listed
    assert "sslkit" in listed
    assert "simclr_r50" in sslkit("recipes", cwd=tmp_path).stdout
    assert "no installed package offers a component" in sslkit("plugins", cwd=tmp_path).stdout


def test_copy_never_writes_over_a_file(tmp_path):
    sslkit("copy", "quickstart", "mine.toml", cwd=tmp_path)
    before = (tmp_path / "mine.toml").read_text()
    assert "exists already" in sslkit("copy", "simclr_r50", "mine.toml", cwd=tmp_path, check=2).stderr
    assert (tmp_path / "mine.toml").read_text() == before
    assert "nothing wrong" in sslkit("check", "mine.toml", cwd=tmp_path).stdout


def test_check_builds_what_needs_no_data(tmp_path):
    for wrong, says in (
        (["num_views=3", 'loss={name="margin"}'], "needs 2 views and gets 3"),
        (["num_views=1"], "'siamese' with 'nt_xent' needs 2 views or more and gets 1"),
        (['loss={name="margin", margin=0.0, mining="semi_hard"}'], "--set loss: loss.margin: must be greater than 0"),
        (["augmentations.0.area=[1.0, 0.3]"], "--set augmentations.0.area: must be (low, high)"),
    ):
        overrides = [word for one in wrong for word in ("--set", one)]
        for command in ("check", "run"):
            assert says in sslkit(command, recipe_file(tmp_path), *overrides, cwd=tmp_path, check=2).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]
    one_view = ["--set", "num_views=1", "--set", 'loss={name="sup_con"}']
    sslkit("check", recipe_file(tmp_path), *one_view, cwd=tmp_path)


def test_what_components_refuse_themselves_has_its_line_and_shows_at_once(tmp_path):
    text = TEXT.replace("[0.3, 1.0]", "[1.0, 0.3]").replace('name = "mlp"', 'name = "mlp", layers = 1, hidden_dim = 7')
    text = text.replace(
        '{ name = "color_distortion" }',
        '{ name = "one_of", operations = [\n    { name = "gaussian_blur", sigma = [2.0, 0.1] },\n    { name = "grayscale" },\n  ] }',
    )
    lines = sslkit("check", recipe_file(tmp_path, text), cwd=tmp_path, check=2).stderr.splitlines()
    for line, says in zip(
        lines,
        [
            "small.toml:3: head.hidden_dim: is 7, but layers = 1 leaves nothing hidden.",
            "small.toml:7: augmentations.0.area: must be (low, high)",
            "small.toml:10: augmentations.2.operations.0.sigma: must be (low, high)",
        ],
        strict=True,
    ):
        assert says in line


def test_version_and_show_of_what_can_t_run(tmp_path):
    assert sslkit("--version", cwd=tmp_path).stdout == f"sslkit {package.__version__}\n"
    shown = sslkit("show", recipe_file(tmp_path), "--set", "train.batch_size=500", cwd=tmp_path).stdout
    assert "is 500, and the split 'train' has 60 images" in shown
    assert "memory of a step" in shown


def test_smoke_takes_no_folder(tmp_path):
    assert "leaves no run folder" in sslkit("run", "quickstart", "--smoke", "--fresh", cwd=tmp_path, check=2).stderr


def test_describe_and_schema(tmp_path):
    described = sslkit("describe", "losses", "nt_xent", cwd=tmp_path).stdout
    assert "2002.05709" in described
    assert "float > 0" in described
    crop = sslkit("describe", "augmentations", "random_resized_crop", cwd=tmp_path).stdout
    assert "[float > 0 and <= 1, float > 0 and <= 1]" in crop
    assert "Of every one of this kind" in crop
    assert json.loads(sslkit("schema", cwd=tmp_path).stdout)["$defs"]["losses"]["oneOf"]
    assert "Did you mean 'losses'" in sslkit("describe", "loses", "nt_xent", cwd=tmp_path, check=2).stderr


def test_show(tmp_path):
    shown = sslkit("show", recipe_file(tmp_path), cwd=tmp_path).stdout
    for line in (
        "temperature = 0.2",
        "# data: 60 images, 3 steps an epoch",
        "# steps: 9, 3 of them warm-up",
        "# peak lr: 0.03125",
        "# backbone: ",
    ):
        assert line in shown, line
    assert "memory of a step" in shown
    assert "IMAGENET is not set" in sslkit("show", "simclr_r50", cwd=tmp_path, env={"IMAGENET": ""}).stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("temperature", "temprature"),
            "small.toml:4: loss.temprature: 'nt_xent' has no such parameter. Did you mean 'temperature'?",
        ),
        (("batch_size = 16", "batch_size = -1"), "small.toml:19: train.batch_size: must be greater than 1, is -1."),
        (("= 0.2", '= "0.2"'), "small.toml:4: loss.temperature: must be a number, is '0.2'."),
        (
            ('"nt_xent"', '"infonce"'),
            "small.toml:4: loss.name: no loss is called 'infonce'. Known: dcl, margin, nt_logistic, nt_xent, sup_con.",
        ),
        (("num_images = 60", "num_images = 8"), "train.batch_size: is 16, and the split 'train' has 8 images"),
        (("k = 3", "k = 61"), "evaluate.0 (knn): k = 61, but the bank 'train' has only 60 images"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(tmp_path, change, says):
    done = sslkit("run", recipe_file(tmp_path, TEXT.replace(*change, 1)), cwd=tmp_path, check=2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_the_traceback_is_there_for_who_asks(tmp_path):
    broken = recipe_file(tmp_path, TEXT.replace("temperature", "temprature"))
    assert "Traceback" in sslkit("check", broken, "--traceback", cwd=tmp_path, check=2).stderr


def test_the_command_line_s_own_mistakes(tmp_path):
    assert sslkit("run", cwd=tmp_path, check=2).stderr
    assert "no such recipe. Did you mean 'quickstart'" in sslkit("run", "quikstart", cwd=tmp_path, check=2).stderr
    assert sslkit("run", "quickstart", "--nonsense", cwd=tmp_path, check=2).stderr


def folder_recipe(tmp_path, *, labelled=True, evaluate=True):
    import cv2

    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for i in range(20):
            place = tmp_path / "images" / split / (f"class{i % 2}" if labelled else "")
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{i:02}.jpg"), rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    text = TEXT.replace('name = "shapes"\nnum_images = 60\nsize = 12', 'name = "image_folder"\nroot = "images"')
    return recipe_file(tmp_path, text if evaluate else text[: text.index("[[evaluate]]")])


@pytest.mark.fault(
    "an image file that is cut off, in a run",
    injected="the first 200 bytes of a JPEG alone",
    expected="one message with its path, exit status 2",
    theme="data",
)
def test_an_unreadable_image(tmp_path):
    recipe = folder_recipe(tmp_path)
    victim = tmp_path / "images" / "train" / "class0" / "04.jpg"
    victim.write_bytes(victim.read_bytes()[:200])
    done = sslkit("run", recipe, cwd=tmp_path, check=2)
    assert "04.jpg" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_and_an_empty_folder(tmp_path):
    recipe = folder_recipe(tmp_path)
    done = sslkit("run", recipe, "--set", "data.root=imagse", cwd=tmp_path, check=2)
    assert "data.root: there is no folder 'imagse'. Did you mean 'images'?" in done.stderr
    (tmp_path / "empty").mkdir()
    assert "no image" in sslkit("run", recipe, "--set", "data.root=empty", cwd=tmp_path, check=2).stderr


@pytest.mark.fault(
    "an evaluation that needs labels of images without",
    injected="a folder without classes",
    expected="said what is missing",
    theme="data",
)
def test_missing_labels(tmp_path):
    recipe = folder_recipe(tmp_path, labelled=False)
    done = sslkit("run", recipe, cwd=tmp_path, check=2)
    assert "evaluate.0 (knn)" in done.stderr
    assert "no labels" in done.stderr
    done = sslkit("run", recipe, "--set", "evaluate=[{name='linear_cached'}]", cwd=tmp_path, check=2)
    assert "evaluate.0 (linear_cached): the split 'train' has no labels" in done.stderr
    sslkit("run", folder_recipe(tmp_path, labelled=False, evaluate=False), cwd=tmp_path)


def test_imagenet_that_is_not_there_says_three_ways_on(tmp_path):
    done = sslkit("run", "simclr_r50", cwd=tmp_path, check=2, env={"IMAGENET": ""})
    for way in ("IMAGENET", "--set data.root=", "--smoke"):
        assert way in done.stderr


@pytest.mark.fault(
    "a run that can't write a checkpoint any more",
    injected="a limit of 64 kB a file",
    expected="exit status 7, and the same command goes on once there is room",
    theme="resources",
)
def test_a_full_disk_while_saving(tmp_path):
    """Files may not grow beyond 64 kB here: the checkpoint fails as it does on a full disk, and what was there stays."""
    recipe = recipe_file(tmp_path)
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); sys.argv = ['sslkit', 'run', sys.argv[1]];"
        "from sslkit.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, str(recipe)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 7
    assert "step_0000003.safetensors: can't be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    sslkit("run", recipe, cwd=tmp_path)  # and the same command goes on once there is room


def test_smoke_says_what_it_shrinks(tmp_path):
    for overrides, says in ([], "a few steps of 4 images."), (["train.micro_batch=8"], "4 images, in micro-batches of 2."):
        given = [word for one in (*overrides, "evaluate=[]") for word in ("--set", one)]
        first = sslkit("run", recipe_file(tmp_path), "--smoke", *given, cwd=tmp_path).stdout.partition("training, step 0")[0]
        assert " ".join(first.split()).endswith(says)


@pytest.mark.parametrize("recipe", ["quickstart", "simclr_fashion_mnist", "simclr_clothing", "simclr_r18_cifar10"])
def test_smoke_goes_through_everything(tmp_path, recipe):
    done = sslkit("run", recipe, "--smoke", cwd=tmp_path)
    assert "numbers mean nothing" in done.stdout
    assert "now the resume" in done.stdout
    assert "goes on after step 1 of 4" in done.stdout
    assert not list(tmp_path.iterdir())
