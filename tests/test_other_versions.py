"""A run folder that another version wrote: each command says in one message which file, who wrote it, and what to do."""

import io
import json
import shutil

import pytest
import torch
from rich.console import Console
from small import TEXT, newest_checkpoint, recipe_file, sslkit

import sslkit as package
from sslkit import checkpoint, origin
from sslkit.compare import compare
from sslkit.errors import SslkitError
from sslkit.folder import RunFolder
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.reevaluate import evaluate_run
from sslkit.results_form import complaint_of
from sslkit.run import run as start
from sslkit.trained import Trained
from sslkit.transfer import transfer
from sslkit.transfer_plan import Plan

QUIET = Lines(Console(file=io.StringIO()))
HINT = "Go back to what wrote it"
IMAGES = '{ name = "shapes", num_images = 40, size = 12 }'


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    sslkit("run", recipe_file(folder, TEXT[: TEXT.rindex("[[evaluate]]")]), cwd=folder)
    return folder / "runs" / "small"


@pytest.fixture
def old(whole, tmp_path):
    """A copy of a run that says that sslkit 0.0.9 wrote it."""
    folder = shutil.copytree(whole, tmp_path / "old")
    rewrite(folder / "resolved.toml", f'sslkit = "{package.__version__}"', 'sslkit = "0.0.9"')
    return folder


def rewrite(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def resaved(path, *, rename=None, **facts):
    """A checkpoint with other names or facts, and a digest that is right."""
    stored = checkpoint.load(path)
    tensors = {(rename or (lambda name: name))(name): tensor for name, tensor in stored.tensors.items()}
    kept = {**stored.facts, **facts}
    checkpoint.save(path, tensors, {key: value for key, value in kept.items() if value is not None})


def shown(folder):
    """What `sslkit show` reads of a run folder; `test_the_commands` goes through the command itself."""
    Recipe.load(folder / "resolved.toml")
    RunFolder(folder).read_results()


COMMANDS = {
    "eval": lambda run: evaluate_run(run, overrides=[], report=QUIET),
    "embed": Trained.load,
    "transfer": lambda run: transfer(run, [IMAGES], plan=Plan(), report=QUIET),
    "compare": lambda run: compare([run, run.parent / "other"]),
    "show": shown,
    "run": lambda run: start(Recipe.load(run / "recipe.toml"), run, report=QUIET),
}


def message(command, run):
    """What a command complains of; anything but one of our errors is a traceback, and fails here."""
    with pytest.raises(SslkitError) as caught:
        COMMANDS[command](run)
    return str(caught.value)


def test_an_unknown_parameter_in_the_resolved_recipe(old):
    rewrite(old / "resolved.toml", "temperature = 0.2", "temperature = 0.2\nmargins = 3")
    for command in ("eval", "embed", "transfer", "show"):
        found = message(command, old)
        assert "resolved.toml:" in found, command
        assert "loss.margins: 'nt_xent' has no such parameter." in found
        assert "sslkit 0.0.9; installed: sslkit" in found
        assert 'pip install "sslkit==0.0.9"' in found
    found = message("run", old)
    assert "holds a run of another recipe:\n  loss.margins: 3 -> None" in found
    assert f"{old / 'resolved.toml'}: This was written with sslkit 0.0.9" in found


def test_a_parameter_of_today_that_it_lacks(old):
    rewrite(old / "resolved.toml", 'directions = "mean"\n', "")
    found = message("run", old)
    assert "loss.directions: None -> 'mean'" in found
    assert HINT in found


def test_a_section_that_is_missing(old):
    text = (old / "resolved.toml").read_text()
    (old / "resolved.toml").write_text(text.replace("[loss]", "[lost]"))
    for command in ("eval", "show"):
        found = message(command, old)
        assert "lost: there is no such section. Did you mean 'loss'?" in found
        assert HINT in found


def test_an_override_is_not_blamed_on_a_version(old):
    with pytest.raises(SslkitError) as caught:
        Trained.load(old, ["evaluate.0.kk=5"])
    assert "--set evaluate.0.kk" in str(caught.value)
    assert HINT not in str(caught.value)


def without(key):
    return lambda content: {name: value for name, value in content.items() if name != key}


RESULTS = {
    "a list": lambda content: content["results"],
    "no finished": without("finished"),
    "results by name": lambda content: {**content, "results": {"knn_top1": 0.5}},
    "no epoch": lambda content: {**content, "results": [without("epoch")(one) for one in content["results"]]},
    "no view": lambda content: {
        **content,
        "results": [{**one, "protocol": without("view")(one["protocol"])} for one in content["results"]],
    },
    "unreadable as a number": lambda content: {**content, "unreadable": 3},
    "view by name": lambda content: {
        **content,
        "results": [{**one, "protocol": {**one["protocol"], "view": ["crop"]}} for one in content["results"]],
    },
}


@pytest.mark.parametrize("change", RESULTS.values(), ids=RESULTS)
def test_results_of_another_structure(whole, old, change):
    shutil.copytree(whole, old.parent / "other")
    path = old / "results.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    for command in ("eval", "embed", "transfer", "compare", "show", "run"):
        found = message(command, old)
        assert found.startswith(f"{path}: can't be read: "), command
        assert "sslkit 0.0.9; installed: sslkit" in found
    assert complaint_of(json.loads((whole / "results.json").read_text())) is None


def test_results_that_are_no_json(old):
    (old / "results.json").write_bytes(b"\xff")
    assert "results.json: can't be read: no JSON" in message("show", old)


def test_a_seed_that_is_missing(whole, old):
    shutil.copytree(whole, old.parent / "other")
    rewrite(old / "resolved.toml", "seed = 0\nlog_every", "log_every")
    found = message("compare", old)
    assert f"{old / 'resolved.toml'}: has no whole number train.seed." in found
    assert HINT in found


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("method", {"rename": lambda name: name.replace("method/head", "method/projector")}),
        ("optimizer", {"rename": lambda name: name.replace("optimizer/head", "optimizer/projector")}),
        ("step", {"step": None}),
    ],
)
def test_a_checkpoint_with_other_names(old, kind, change):
    (old / "results.json").unlink()  # as of a run that was stopped
    last = newest_checkpoint(old)
    resaved(last, **change)
    before = (old / "resolved.toml").read_bytes()
    for command in ("run", *(("eval", "embed", "transfer") if kind == "method" else ())):
        found = message(command, old)
        assert found.startswith(f"{last}: "), command
        assert "sslkit 0.0.9; installed: sslkit" in found
        assert HINT in found
    assert (old / "resolved.toml").read_bytes() == before, "it still says who wrote it"


@pytest.mark.parametrize(
    "change",
    [
        {"channels": None},
        {"view": [{"name": "center_crop"}]},
        {"view": "center"},
        {"backbone": {"name": "resnet", "new": 1}},
        {"backbone": ["resnet"]},
        {"backbone": {"name": "resnext"}},
        {"rename": lambda name: name.replace("stem", "root").replace("conv", "c")},
    ],
)
def test_an_encoder_of_another_version(old, change):
    resaved(old / "encoder.safetensors", **change)
    for command in ("eval", "embed", "transfer"):
        found = message(command, old)
        assert found.startswith(f"{old / 'encoder.safetensors'}: "), command
        assert "sslkit 0.0.9; installed: sslkit" in found


def test_where_the_versions_agree_the_file_was_changed(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "same")
    resaved(folder / "encoder.safetensors", channels=None)
    found = message("embed", folder)
    assert f"sslkit {package.__version__} wrote it, which is installed" in found


def test_an_evaluation_by_another_version_says_so_in_one_line_and_goes_on(whole, old):
    rewrite(old / "resolved.toml", f'torch = "{torch.__version__}"', 'torch = "0.1"')
    for folder, says in (
        (old, [f"{old}: was trained with sslkit 0.0.9, torch 0.1, and is evaluated with sslkit "]),
        (whole, []),
    ):
        said = io.StringIO()
        assert evaluate_run(folder, overrides=[], report=Lines(Console(file=said, width=500)))
        found = [line for line in said.getvalue().splitlines() if "was trained with" in line]
        assert [line[: len(one)] for line, one in zip(found, says, strict=True)] == says


def test_plugins_and_what_no_file_says():
    found = origin.other_versions({"resolved": {"versions": {"sslkit": package.__version__, "sslkit-absent": "0.2"}}})
    assert found.startswith("This was written with sslkit-absent 0.2; installed: no sslkit-absent.")
    same = {"sslkit": package.__version__, "torch": "0.1", "python": "2.7"}
    for resolved in ({}, {"resolved": 1}, {"resolved": {"versions": []}}, {"resolved": {"versions": same}}):
        assert origin.other_versions(resolved) == ""


def test_the_commands(whole, old, tmp_path):
    done = sslkit("show", whole, cwd=tmp_path)
    assert 'name = "nt_xent"' in done.stdout
    assert "knn_top1" in done.stdout
    rewrite(old / "resolved.toml", "temperature = 0.2", "temperature = 0.2\nmargins = 3")
    done = sslkit("embed", old, cwd=tmp_path, check=2)
    assert HINT in done.stderr
    assert "Traceback" not in done.stderr
