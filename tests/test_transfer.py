"""Transfer to other data sets: each by its own number, settings chosen on validation images, all of it kept."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from small import TEXT, recipe_file, sslkit

from sslkit.datasets.joined import Joined
from sslkit.datasets.shapes import Shapes
from sslkit.errors import DataError, RunFolderError, Stopped, UnknownSplit
from sslkit.progress import Lines
from sslkit.table import transfer_table
from sslkit.transfer import Column, transfer
from sslkit.transfer_file import keep, names_of
from sslkit.transfer_plan import Plan
from sslkit.transfer_splits import usual_validation


def photos(folder, *, splits, num_classes=3, each=8):
    """A folder of images, one colour a class."""
    random = np.random.default_rng(0)
    for split in splits:
        for number in range(num_classes * each):
            kind = number % num_classes
            path = folder / split / f"class{kind}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(80, size=(10, 13, 3))
            pixels[..., kind] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


def record(name="logistic_top1", **more):
    """One number as it is kept."""
    protocol = {"evaluation": "logistic", "features": "h", "train": "train", "test": "test", "seed": 0, "recipe": "r"}
    counts = {"train_images": 9, "test_images": 9, "view": [{"name": "center_crop"}]}
    return {"encoder": "trained", "name": name, "epoch": 3, "protocol": {**protocol, **counts}, "value": 0.5, **more}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    sslkit("run", recipe_file(folder), cwd=folder)
    return folder / "runs" / "small"


def test_linear_on_two_data_sets_with_and_without_a_validation_split(run, tmp_path):
    photos(tmp_path / "whole", splits=("train", "val", "test"))
    photos(tmp_path / "short", splits=("train", "test"))
    done = sslkit("transfer", run, "--data", "whole", "--data", "short", cwd=tmp_path)
    assert "short: has no split 'val'; a tenth of each class of 'train' validates" in done.stdout
    assert "whole: has no" not in done.stdout
    assert "whole" in done.stdout
    assert "top-1" in done.stdout
    whole, short = json.loads((run / "transfer.json").read_text())
    assert (whole["data"], short["data"], whole["metric"]) == ("whole", "short", "top1")
    numbers = {one["name"]: one["value"] for one in whole["results"]}
    assert 0 <= numbers["logistic_top1"] <= 1
    assert numbers["logistic_l2"] > 0
    protocol = whole["results"][0]["protocol"]
    assert protocol["view"] == [
        {"name": "center_crop", "p": 1.0, "size": 12, "fraction": 1.0, "interpolation": "bicubic"}
    ]  # fmt: skip
    assert protocol["validation"] == "val"
    trained = {one["protocol"]["recipe"] for one in json.loads((run / "results.json").read_text())["results"]}
    assert {one["protocol"]["recipe"] for one in (*whole["results"], *short["results"])} == trained
    assert "validation" not in short["results"][0]["protocol"]


def test_the_usual_validation_split_is_taken_where_it_shares_no_image():
    train, val, test = (Shapes(name, num_images=40, size=8) for name in ("train", "val", "test"))
    whole = {"train": train, "val": val, "test": test, "trainval": Joined(train, val)}
    assert usual_validation(whole.__getitem__, Plan()) == ("val", "")
    shares = "the split 'val' shares images with "
    assert usual_validation(whole.__getitem__, Plan(train="trainval")) == (None, f"{shares}'trainval'")
    assert usual_validation(whole.__getitem__, Plan(test="val")) == (None, f"{shares}'val'")

    def damaged(split):
        raise DataError("damaged")

    def absent(split):
        raise UnknownSplit("absent")

    assert usual_validation(absent, Plan()) == (None, "has no split 'val'")
    with pytest.raises(DataError, match="damaged"):
        usual_validation(damaged, Plan())  # to go on without it would be another protocol


def test_what_the_run_does_after_the_crop_is_done_to_other_images_too(tmp_path):
    normalized = TEXT.replace('  { name = "color_distortion" },', '  { name = "color_distortion" },\n  { name = "normalize" },')
    sslkit("run", recipe_file(tmp_path, normalized), cwd=tmp_path)
    photos(tmp_path / "photos", splits=("train", "test"))
    sslkit("transfer", "runs/small", "--data", "photos", cwd=tmp_path)
    [column] = json.loads((tmp_path / "runs/small/transfer.json").read_text())
    assert [one["name"] for one in column["results"][0]["protocol"]["view"]] == ["center_crop", "normalize"]


def test_fine_tuning_from_the_encoder_and_from_random_weights(run, tmp_path):
    photos(tmp_path / "photos", splits=("train", "test"))
    command = ("transfer", run, "--data", "photos", "--row", "finetune", "--row", "random", "--steps", "2", "--grid", "1")
    done = sslkit(*command, cwd=tmp_path)
    [column] = [one for one in json.loads((run / "transfer.json").read_text()) if one["data"] == "photos"]
    found = {(one["encoder"], one["name"]): one for one in column["results"]}
    assert found["trained", "finetune_grid_lr"]["value"] == pytest.approx(1e-4)
    assert found["untrained", "finetune_grid_lr"]["value"] == pytest.approx(1e-3)
    assert found["trained", "finetune_grid_top1"]["protocol"]["steps"] == 2
    assert found["untrained", "finetune_grid_top1"]["protocol"]["steps"] == 4
    assert {one["protocol"]["view"][0]["fraction"] for one in found.values()} == {0.875}, "the paper's 256 to 224"
    for title in ("fine-tuned", "random init"):
        assert title in done.stdout
    assert not (run / "transfer" / "photos" / "features").exists(), "nothing was embedded"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "--data nowhere: there is no such folder."),
        (["--data", '{ name = "shapse" }'], "Did you mean 'shapes'?"),
        (["--data", '{ name = "shapes", size = 12 }', "--row", "lienar"], "--row: must be linear, finetune or random"),
        (
            ["--data", '{ name = "shapes", size = 12, channels = 1 }'],
            "size = 12, channels = 1 }: has images of 1 channel, and the encoder takes 3. A folder of images can be read so: --data "
            """'{ name = "image_folder", root = ".", channels = 3 }'.""",
        ),
        (
            ["--data", '{ name = "shapes", size = 12 }', "--test", "tset"],
            """size = 12 }: --test tset: dataset 'shapes' has no split 'tset'. Did you mean 'test'? It has: test, train, val.""",
        ),
        (
            ["--data", '{ name = "shapes", size = 12 }', "--validation", "vall"],
            "--validation vall: dataset 'shapes' has no split 'vall'. Did you mean 'val'? It has: test, train, val.",
        ),
    ],
)
def test_what_is_wrong(run, tmp_path, arguments, message):
    done = sslkit("transfer", run, *arguments, cwd=tmp_path, check=2)
    assert message in done.stderr
    assert "features" not in done.stdout, "nothing was embedded"


def test_what_a_row_can_not_use_is_said_of_the_data_set_and_the_row(run, tmp_path):
    photos(tmp_path / "plain", splits=("train", "test"), num_classes=1)
    done = sslkit("transfer", run, "--data", "plain", cwd=tmp_path, check=2)
    assert "--data plain: --row linear: all images of the split 'train' are of one class" in done.stderr
    assert "evaluate.0" not in done.stderr


def test_a_later_data_set_that_is_wrong_loses_nothing(run, tmp_path):
    photos(tmp_path / "kept", splits=("train", "test"))
    done = sslkit("transfer", run, "--data", "kept", "--data", "nowhere", cwd=tmp_path, check=2)
    assert "--data nowhere" in done.stderr
    assert "kept" in [one["data"] for one in json.loads((run / "transfer.json").read_text())]


def test_the_table_has_each_data_sets_own_number():
    columns = [
        Column("pets", "mean_per_class", {"linear": 0.5, "finetune": 0.75}, []),
        Column("voc2007", "map", {"linear": 0.25, "finetune": 0.125}, []),
    ]
    table = transfer_table(columns, title="a run")
    assert [column.header for column in table.columns] == ["", "pets\nmean per class", "voc2007\n11-point mAP"]
    assert [list(column.cells) for column in table.columns] == [
        ["linear", "fine-tuned"], ["0.5000", "0.7500"], ["0.2500", "0.1250"],
    ]  # fmt: skip


def test_names_tell_data_sets_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/birds", "b/birds"):
        (tmp_path / name).mkdir(parents=True)
    assert names_of(["a/birds", "b/birds", '{name="cifar10"}'], {}) == ["birds", "birds-2", "cifar10"]
    assert names_of(["x/birds-2", "x/birds", "y/birds"], {}) == ["birds-2", "birds", "birds-3"]
    assert names_of(
        ["a/birds", '{ name="cifar10" }'], {"birds": str(tmp_path / "b/birds"), "cifar10": '{ name = "cifar10" }'}
    ) == [
        "birds-2",
        "cifar10",
    ]


def test_what_was_found_before_stays(tmp_path):
    path = tmp_path / "transfer.json"
    one = record()
    for name, results in (
        ("birds", [one]),
        ("cars", [one]),
        ("birds", [{**one, "name": "finetune_grid_top1"}, {**one, "value": 0.75}]),
    ):
        keep(path, name, source=name, metric="top1", results=results)
    birds, cars = json.loads(path.read_text())
    assert [(found["name"], found["value"]) for found in birds["results"]] == [
        ("finetune_grid_top1", 0.5),
        ("logistic_top1", 0.75),
    ]
    assert cars["results"] == [one]


@pytest.mark.parametrize(
    "content",
    ["", "{}x", '{"data": 1}', '[{"data": "birds"}]', "[3]", "[" * 100_000, '[{"data": "birds", "results": [{"value": 1}]}]'],
)
def test_a_damaged_file_of_earlier_transfers_is_left_alone(tmp_path, content):
    path = tmp_path / "transfer.json"
    path.write_text(content)
    with pytest.raises(RunFolderError, match=r"transfer\.json: is damaged"):
        keep(path, "birds", source="birds", metric="top1", results=[])
    assert path.read_text() == content


def test_a_stop_in_a_later_row_loses_nothing_of_an_earlier_one_and_the_folder_is_locked(tmp_path, monkeypatch):
    class Opened:
        splits = ()

    def found(run, evaluator, row):
        assert (tmp_path / ".lock").exists()
        if row == "finetune":
            raise Stopped("asked to stop")
        return [record()]

    (tmp_path / "resolved.toml").touch()
    monkeypatch.setattr("sslkit.transfer.Trained.load", lambda *_: SimpleNamespace(recipe=None))
    monkeypatch.setattr("sslkit.transfer.build.images", lambda *_: Shapes(num_images=4, size=8))
    monkeypatch.setattr("sslkit.transfer._evaluators", lambda *_, plan, **__: {row: Opened() for row in plan.rows})
    monkeypatch.setattr("sslkit.transfer._found", found)
    plan, report = Plan(rows=("linear", "finetune")), Lines(Console(file=io.StringIO()))
    with pytest.raises(Stopped):
        transfer(tmp_path, ['{ name = "shapes" }'], plan=plan, report=report)
    [column] = json.loads((tmp_path / "transfer.json").read_text())
    assert column["results"] == [record()]


def test_the_rows_of_the_paper():
    sections = Plan(("linear", "finetune", "random")).sections(validation="val")
    assert (sections["finetune"]["steps"], sections["random"]["steps"]) == (20_000, 40_000)
    assert sections["random"]["lrs"] == [1e-3, 1.0]
    assert sections["random"]["weight_decays"] == pytest.approx([1e-5, 0.0316228], rel=1e-5)
    assert all(section["validation"] == "val" for section in sections.values())
