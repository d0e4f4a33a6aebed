"""Comparing runs: which share a row and a column, what is compared image by image, and what is refused and why."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from small import TEXT, recipe_file, sslkit

from sslkit import comparison_table, results
from sslkit.compare import compare
from sslkit.comparison_table import tables
from sslkit.errors import UserError
from sslkit.evaluations.accuracy import accuracies, guesses
from sslkit.folder import RunFolder
from sslkit.paired import bootstrap_interval, holm, mcnemar
from sslkit.recipe import Recipe
from sslkit.side_by_side import Cell, by_recipe, cell, one_each

LABELS = np.arange(30) % 3


def guessed(right):
    """The scores of a classifier that gets so many of the first images right."""
    scores = np.eye(3)[(LABELS + 1) % 3]
    scores[:right] = np.eye(3)[LABELS[:right]]
    return scores


def evaluation(*rights, name="knn", labels=LABELS, encoder="trained", epoch=3, arrays=True, **protocol):
    """One evaluation of a made-up run; several values of `rights` are its repeats."""
    found = [accuracies(guesses(guessed(right), labels), labels, prefix=name, num_classes=3) for right in rights]
    facts = {"evaluation": name, "law": "a law", "features": "h", "train": "train", "test": "test", **protocol}
    facts |= {"train_images": 60, "test_images": len(labels), "view": [{"name": "center_crop", "p": 1.0, "size": 12}]}
    return {"found": found, "labels": labels, "encoder": encoder, "epoch": epoch, "facts": facts, "arrays": arrays}


def made(folder, *evaluations, seed=0, overrides=(), finished=True, torch="2.9"):
    """A run folder as a run of the small recipe leaves it, with the numbers of these evaluations."""
    recipe = Recipe.parse(TEXT, overrides=[f"train.seed={seed}", *overrides])
    run = RunFolder(folder)
    derived = {"num_images": 60, "steps": 9, "precision": "fp32", "versions": {"torch": torch}}
    run.create(recipe=TEXT, resolved=recipe.to_toml(resolved=derived))
    records = []
    for one in evaluations:
        about = {"encoder": one["encoder"], "epoch": one["epoch"]}
        about["protocol"] = {**one["facts"], "seed": seed, "recipe": recipe.digest()}
        records += results.records(one["found"], circumstances=one.get("circumstances", {}), **about)
        if one["arrays"]:
            results.keep_arrays(folder, one["found"][0], labels=one["labels"], **about)
    run.write_results(records, finished=finished)
    return folder


def names(found):
    return [row.name for row in found.rows]


def shown(found, width=120):
    console = Console(width=width, file=io.StringIO())
    for piece in tables(found, width=width):
        console.print(piece)
    return console.file.getvalue()


class TestRows:
    """Which numbers stand in one row."""

    def test_the_same_protocol_but_for_seed_and_recipe(self, tmp_path):
        a = made(tmp_path / "a", evaluation(10, k=3), evaluation(12, k=5), evaluation(9, name="linear"))
        b = made(
            tmp_path / "b", evaluation(15, k=3), evaluation(9, name="linear", epochs=2), overrides=["loss.temperature=0.5"]
        )
        found = compare([a, b])
        assert names(found) == ["knn_top1", "knn_top1", "linear_top1", "linear_top1"]
        assert [[number and number.value for number in row.numbers] for row in found.rows] == [
            [10 / 30, 15 / 30],
            [12 / 30, None],
            [9 / 30, None],
            [None, 9 / 30],
        ]
        [why] = found.refused
        assert why == f"linear_top1: {a} and {b} have other protocols (epochs: None -> 2)."

    def test_of_several_protocols_the_most_similar_are_named(self, tmp_path):
        a = made(tmp_path / "a", evaluation(10, k=3), evaluation(12, k=5, layer="z"))
        b = made(tmp_path / "b", evaluation(15, k=7, layer="z"), evaluation(10, name="linear"), seed=1)
        c = made(tmp_path / "c", evaluation(10, name="linear"), seed=2)
        assert compare([a, b, c, made(tmp_path / "d", evaluation(10, k=3), seed=3)]).refused == [
            f"knn_top1: {a} and {b} have other protocols (k: 5 -> 7)."
        ]

    def test_only_the_trained_encoder_after_its_last_epoch(self, tmp_path):
        more = [evaluation(5, epoch=2), evaluation(4, epoch=1), evaluation(3, encoder="untrained")]
        a = made(tmp_path / "a", evaluation(10), *more)
        b = made(tmp_path / "b", evaluation(11, epoch=200), *more, seed=1, overrides=["train.epochs=200"])
        [row] = compare([a, b]).rows
        assert [number.epoch for number in row.numbers] == [3, 200]
        assert [number.value for number in row.numbers] == [10 / 30, 11 / 30]

    def test_the_same_protocol_on_other_data(self, tmp_path):
        a, b = made(tmp_path / "a", evaluation(10)), made(tmp_path / "b", evaluation(10), overrides=["data.seed=7"])
        with pytest.raises(UserError, match=r"no number in common.\n  knn_top1: .* other protocols \(data.seed: 0 -> 7\)"):
            compare([a, b])
        c = made(tmp_path / "c", evaluation(10), overrides=["data.limit=40", "data.workers=2"])
        assert len(compare([a, c]).pairs) == 1, "these say nothing of the test set"

    def test_metrics_narrow_the_rows(self, tmp_path):
        runs = [made(tmp_path / name, evaluation(10), evaluation(9, name="linear"), seed=i) for i, name in enumerate("ab")]
        found = compare(runs, metrics=["linear_top1"])
        assert names(found) == ["linear_top1"]
        assert [pair.row for pair in found.pairs] == [0]
        with pytest.raises(
            UserError, match=r"no run has a number 'knn_top'. Did you mean 'knn_top1'\? Known: knn_top1, linear"
        ):
            compare(runs, metrics=["knn_top"])


class TestColumns:
    """Which runs share a column."""

    def test_those_that_differ_only_in_their_seed(self, tmp_path):
        warm = ["loss.temperature=0.5"]
        runs = [
            made(tmp_path / "a0", evaluation(10)),
            made(tmp_path / "w1", evaluation(18), seed=1, overrides=warm),
            made(tmp_path / "a2", evaluation(13), seed=2, overrides=["data.workers=2"]),
            made(tmp_path / "w0", evaluation(18), overrides=warm),
            made(tmp_path / "again", evaluation(11)),
        ]
        found = compare(runs)
        assert found.columns == [[0, 2], [1, 3], [4]]
        cells = [cell(found.rows[0], column) for column in found.columns]
        assert cells == [
            Cell(pytest.approx(11.5 / 30), pytest.approx(np.std([10, 13], ddof=1) / 30), 2),
            (0.6, 0.0, 2),
            (11 / 30, None, 1),
        ]
        assert compare(runs, columns=one_each).columns == [[0], [1], [2], [3], [4]]

    def test_precision_and_number_of_images_count_and_versions_do_not(self, tmp_path):
        a = made(tmp_path / "a", evaluation(10))
        b = made(tmp_path / "b", evaluation(10), seed=1, torch="2.10")
        found = compare([a, b])
        assert found.columns == [[0, 1]]
        assert "resolved.versions.torch: '2.9' -> '2.10'" in shown(found)
        resolved = b / "resolved.toml"
        resolved.write_text(resolved.read_text().replace("num_images = 60\nsteps", "num_images = 59\nsteps"))
        found = compare([a, b])
        assert found.columns == [[0], [1]]
        assert "resolved.num_images: 60 -> 59" in shown(found)

    def test_a_number_that_only_some_have(self, tmp_path):
        a = made(tmp_path / "a", evaluation(10), evaluation(6, name="linear"))
        b, c = (made(tmp_path / name, evaluation(10 + i), seed=i) for i, name in ((1, "b"), (2, "c")))
        found = compare([a, b, c])
        assert cell(found.rows[1], [0, 1, 2]) == (0.2, None, 1)
        assert cell(found.rows[1], [1, 2]) is None
        assert "(1 of 3)" in shown(found)

    def test_the_spread_of_repeats(self, tmp_path):
        runs = [made(tmp_path / name, evaluation(9, 12, 12, repeats=3), seed=i) for i, name in enumerate("ab")]
        alone = compare(runs, columns=one_each)
        assert cell(alone.rows[0], [0]).spread == pytest.approx(np.std([9, 12, 12], ddof=1) / 30)
        assert cell(alone.rows[0], [0, 1]).spread == 0.0, "over seeds, where there are several"
        assert "first repeat is compared" in shown(alone)
        c = made(tmp_path / "c", evaluation(9), seed=2)
        assert cell(compare([*runs[:1], c, runs[1]]).rows[0], [0, 1]) == (pytest.approx(11 / 30), None, 1), "no mixture of both"


class TestImageByImage:
    """Each run against the first one."""

    def test_equals_the_statistics_of_what_was_said(self, tmp_path):
        rights = {"a": (10, 22), "b": (18, 25), "c": (25, 9)}
        runs = [
            made(tmp_path / name, evaluation(knn), evaluation(linear, name="linear"), seed=i)
            for i, (name, (knn, linear)) in enumerate(rights.items())
        ]
        found = compare(runs)
        assert [(pair.row, pair.run) for pair in found.pairs] == [(0, 1), (0, 2), (1, 1), (1, 2)]
        expected = []
        for which in (0, 1):
            a, b, c = (np.arange(30) < rights[name][which] for name in "abc")
            for other in (b, c):
                expected.append((mcnemar(a, other), bootstrap_interval(a, other), other.mean() - a.mean()))
        assert [pair.p_value for pair in found.pairs] == [p for p, _, _ in expected]
        assert [pair.adjusted for pair in found.pairs] == holm([p for p, _, _ in expected])
        assert [pair.interval for pair in found.pairs] == [interval for _, interval, _ in expected]
        assert [pair.difference for pair in found.pairs] == pytest.approx([difference for _, _, difference in expected])
        assert found.pairs[0].alone == (0, 8)
        assert found.pairs[3].alone == (13, 0)
        assert found.refused == []

    def test_other_labels_and_another_number_of_them(self, tmp_path):
        a = made(tmp_path / "a", evaluation(10))
        b = made(tmp_path / "b", evaluation(10, labels=np.roll(LABELS, 1)), seed=1)
        found = compare([a, b])
        assert found.pairs == []
        assert found.refused == [f"knn_top1: the test sets of {a} and {b} differ: 30 of 30 images have another label."]
        c = made(tmp_path / "c", evaluation_of_sizes(LABELS[:29]), seed=2)
        assert compare([a, c]).refused == [f"knn_top1: the test sets of {a} and {c} differ: 30 and 29 images."]

    def test_a_file_that_is_missing(self, tmp_path):
        a, b = made(tmp_path / "a", evaluation(10)), made(tmp_path / "b", evaluation(10, arrays=False), seed=1)
        c = made(tmp_path / "c", evaluation(12), seed=2)
        found = compare([a, b, c])
        [why] = found.refused
        assert why.startswith(f"knn_top1: {b / 'evaluations'}/trained-knn-")
        assert why.endswith(f"is missing or of another epoch. Run `sslkit eval {b}` once.")
        assert [pair.run for pair in found.pairs] == [2]
        assert compare([b, a, c]).refused == [why], "once, not for each run that is compared with it"
        assert why in "".join(shown(compare([b, a, c]), width=500))

    def test_a_number_of_which_nothing_is_kept_is_not_spoken_of(self, tmp_path):
        """As of `logistic_validation_top1` beside `logistic_top1`, and of `probe_transform_rotation_top1`, which stands alone."""
        beside, alone = evaluation(10), evaluation(10, name="probe", arrays=False)
        beside["found"][0].append(("knn_validation_top1", 0.5))
        alone["found"] = [[("probe_rotation_top1", 0.5)]]
        a, b = (made(tmp_path / name, beside, alone, seed=i) for i, name in enumerate("ab"))
        c = made(tmp_path / "c", beside, {**alone, "facts": {**alone["facts"], "epochs": 2}}, seed=2)
        found = compare([a, b, c])
        assert {"knn_validation_top1", "probe_rotation_top1"} < set(names(found))
        assert [found.rows[pair.row].name for pair in found.pairs] == ["knn_top1", "knn_top1"]
        assert found.refused == []

    def test_an_evaluation_that_gave_them_in_one_run_only(self, tmp_path):
        plain = evaluation(12)
        plain["found"] = [[("knn_top1", 0.4)]]
        a, b = made(tmp_path / "a", evaluation(10)), made(tmp_path / "b", plain, seed=1)
        assert compare([a, b]).refused == [
            f"knn_top1: the evaluation in {b} did not give what it said of each image, 'knn_predicted'."
        ]

    def test_what_was_said_at_another_epoch(self, tmp_path):
        a, b = made(tmp_path / "a", evaluation(10)), made(tmp_path / "b", evaluation(10), seed=1)
        content = json.loads((b / "results.json").read_text())
        content["results"][0]["epoch"] = 4
        (b / "results.json").write_text(json.dumps(content))
        assert "Run `sslkit eval" in compare([a, b]).refused[0]

    def test_a_damaged_file(self, tmp_path):
        a, b = (made(tmp_path / name, evaluation(10), seed=i) for i, name in enumerate("ab"))
        [path] = (b / "evaluations").iterdir()
        path.write_bytes(path.read_bytes()[:-1] + b"\x07")
        [why] = compare([a, b]).refused
        assert "does not match its digest" in why

    def test_images_of_several_classes(self, tmp_path):
        one = evaluation(10)
        many = {**one, "labels": np.eye(3, dtype=np.int64)[LABELS]}
        a, b = made(tmp_path / "a", many), made(tmp_path / "b", many, seed=1)
        [why] = compare([a, b]).refused
        assert "knn_top1: an image may be of several classes" in why

    def test_a_number_that_counts_no_images(self, tmp_path):
        odd = LABELS[:29]
        a, b = (made(tmp_path / name, evaluation_of_sizes(odd), seed=i) for i, name in enumerate("ab"))
        found = compare([a, b])
        assert names(found) == ["knn_top1", "knn_mean_per_class"]
        assert [pair.row for pair in found.pairs] == [0]
        assert found.refused == []


def test_other_test_images_with_the_same_labels_are_another_row(tmp_path):
    runs = [made(tmp_path / "first", {**evaluation(10), "circumstances": {"computed": {}, "test_contents": "a"}})]
    same = {**evaluation(9), "circumstances": {"computed": {"device": "cuda"}, "test_contents": "a"}}
    other = {**evaluation(9), "circumstances": {"computed": {}, "test_contents": "b"}}
    assert len(compare([*runs, made(tmp_path / "same", same, seed=1)]).pairs) == 1
    with pytest.raises(UserError, match=r"no number in common\.\n.*test_contents"):
        compare([*runs, made(tmp_path / "other", other, seed=2)])


def evaluation_of_sizes(labels):
    """An evaluation on classes of different sizes."""
    found = [accuracies(guesses(guessed(10)[: len(labels)], labels), labels, prefix="knn", num_classes=3)]
    return {**evaluation(10), "found": found, "labels": labels}


class TestMistakes:
    """One clear message for each."""

    @pytest.fixture
    def runs(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        return [made(Path("runs") / name, evaluation(10), seed=i) for i, name in enumerate(("first", "second"))]

    def refused(self, *folders):
        with pytest.raises(UserError) as error:
            compare([Path(folder) for folder in folders])
        return str(error.value)

    def test_folders(self, runs):
        (runs[0].parent / "empty").mkdir()
        assert self.refused("runs/first") == "compare: needs two run folders or more."
        assert self.refused("runs/first", "runs/../runs/first") == "runs/../runs/first: is given twice."
        assert self.refused("runs/first", "runs/secnod") == "runs/secnod: there is no such run folder. Did you mean 'second'?"
        assert self.refused("runs/first", "second") == "second: there is no such run folder. Did you mean 'runs/second'?"
        assert self.refused("runs/first", "runs/empty") == "runs/empty: is no run folder; it has no resolved.toml."

    def test_an_unfinished_run(self, runs):
        made(runs[0].parent / "third", evaluation(10, epoch=1), finished=False)
        assert "runs/third: this run is not finished" in self.refused("runs/first", "runs/third")
        shutil.copytree(runs[0], runs[0].parent / "killed", ignore=shutil.ignore_patterns("results.json"))
        assert "runs/killed: this run is not finished" in self.refused("runs/first", "runs/killed")

    def test_damaged_results(self, runs):
        (runs[1] / "results.json").write_text('{"finished": true, ')
        assert self.refused(*runs).startswith("runs/second/results.json: can't be read: ")
        (runs[1] / "results.json").write_text("[]")
        assert self.refused(*runs).startswith("runs/second/results.json: can't be read: ")

    def test_no_number_in_common(self, runs):
        made(runs[0].parent / "none", seed=2)
        assert self.refused("runs/first", "runs/none") == "compare: the runs have no number in common."
        made(runs[0].parent / "other", evaluation(10, k=7), seed=2)
        assert self.refused("runs/first", "runs/other").endswith("have other protocols (k: None -> 7).")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Six recipes with two seeds each."""
    long = {"name": "linear_cached", "epochs": 90, "base_lr": 0.1, "batch_size": 256}
    folder = tmp_path_factory.mktemp("runs")
    return [
        made(
            folder / f"{recipe}-{seed}",
            evaluation(10 + seed + recipe, k=3),
            evaluation(20 - seed, 20, **long, repeats=2),
            seed=seed,
            overrides=[f"loss.temperature={recipe}.0"],
        )
        for recipe in range(1, 7)
        for seed in range(2)
    ]


class TestTables:
    """What is printed."""

    def test_names_differences_and_numbers(self, tmp_path):
        a = [made(tmp_path / f"a{i}", evaluation(10 + 3 * i, k=3), seed=i) for i in range(2)]
        b = made(tmp_path / "[b]", evaluation(20, k=3), evaluation(9, k=5), overrides=["loss.temperature=0.5"])
        text = shown(compare([*a, b]), width=300)
        assert f"A  {a[0]}, {a[1]}; seeds 0, 1" in text
        assert f"B  {b}; seed 0" in text
        assert "loss.temperature: 0.2 -> 0.5" in text
        assert "│ 1 │ knn_top1 │   0.3833 │ 0.6667 │" in text
        assert "│   │          │ ± 0.0707 │        │" in text
        assert "│ 2 │ knn_top1 │        - │ 0.3000 │" in text
        assert "1  a law; k 3; train 60 -> test 30" in text
        assert "view center_crop size 12" in text
        assert f"image by image, against A seed 0: {a[0]}" in text
        words = " ".join(text.split())
        assert "│ 1 │ knn_top1 │ A seed 1 │ +0.1000 │ 0 : 3 │ 0.25 │ 0.25 │ │ │ │ │ 0.0000 to 0.2333 │" in words
        assert "│ 1 │ knn_top1 │ B │ +0.3333 │ 0 : 10 │ 0.002 │ 0.0039 │ │ │ │ │ 0.1667 to 0.5000 │" in words
        assert "Holm: p corrected for the number of comparisons here, 2" in text

    def test_what_is_not_the_same_in_all_protocols_is_said_of_each(self, tmp_path):
        runs = []
        for i, name in enumerate("ab"):
            small, large = evaluation(10), evaluation(12)
            large["facts"] = {**large["facts"], "view": [{"name": "center_crop", "p": 1.0, "size": 24}], "features": "z"}
            runs.append(made(tmp_path / name, small, large, seed=i))
        text = shown(compare(runs), width=300)
        assert "1  a law; train 60 -> test 30; view.0.size 12" in text
        assert "2  a law; layer z; train 60 -> test 30; view.0.size 24" in text
        assert "view center_crop" not in text

    @pytest.mark.parametrize("width", [80, 120])
    def test_nothing_is_cut_off(self, many, width):
        for columns in (by_recipe, one_each):
            text = shown(compare(many, columns=columns), width=width)
            assert "…" not in text
            assert all(len(line) <= width for line in text.splitlines())
            num_tables = {by_recipe: {80: 2, 120: 1}, one_each: {80: 3, 120: 2}}[columns][width]
            assert text.count("│ 2 │ linear") == num_tables + 11, "a row in each table of numbers, and 11 pairs"
            assert text.count("± 0.0236") == 6, "of six recipes over seeds, or of six runs over repeats"

    def test_columns_beyond_the_alphabet(self, many):
        assert [comparison_table._letter(i) for i in (0, 25, 26, 51, 52)] == ["A", "Z", "A1", "Z1", "A2"]


def test_the_command(tmp_path):
    runs = [made(tmp_path / f"s{i}", evaluation(10 + i), evaluation(7, name="linear"), seed=i).name for i in range(2)]
    done = sslkit("compare", *runs, "--metric", "knn_top1", cwd=tmp_path)
    assert "A  s0, s1; seeds 0, 1" in done.stdout
    assert "knn_top1" in done.stdout
    assert "linear_top1" not in done.stdout
    assert "B  s1; seed 1" in sslkit("compare", "--each", *runs, cwd=tmp_path).stdout
    done = sslkit("compare", "s0", "q", cwd=tmp_path, check=2)
    assert (done.stdout, done.stderr) == ("", "q: there is no such run folder. Run folders in .: s0, s1.\n")


def test_what_runs_leave_can_be_compared(tmp_path):
    runs = [tmp_path / f"s{seed}" for seed in range(2)]
    for seed, run in enumerate(runs):
        sslkit("run", recipe_file(tmp_path), "-o", run, "--set", f"train.seed={seed}", cwd=tmp_path)
    found = compare(runs)
    assert found.columns == [[0, 1]]
    assert found.refused == []
    assert [found.rows[pair.row].name for pair in found.pairs] == ["knn_top1", "linear_cached_top1"]
    for pair in found.pairs:
        first, second = (number.value for number in found.rows[pair.row].numbers)
        assert pair.difference == pytest.approx(second - first)
    shutil.rmtree(runs[1] / "evaluations")
    assert len(compare(runs).refused) == 2
    sslkit("eval", runs[1], cwd=tmp_path)
    assert compare(runs) == found, "as its message says"
