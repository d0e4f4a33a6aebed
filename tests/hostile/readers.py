"""The readers that hostile files are given to: sslkit's own, and bad ones that the tests have to notice."""

import importlib
import os
import pickle
import re
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sslkit import checkpoint, checkpoint_folder, plugins, whole_files
from sslkit.commands.shared import console, say
from sslkit.compare import compare
from sslkit.comparison_table import tables
from sslkit.datasets.headers import read_size
from sslkit.datasets.image_folder import ImageFolder
from sslkit.datasets.pixels import read_pixels
from sslkit.encoder import load_encoder
from sslkit.features_file import read_features
from sslkit.folder import RunFolder
from sslkit.listing import complaints, components_table, offers_table
from sslkit.lock import locked
from sslkit.optimizers.adamw import AdamW
from sslkit.recipe import Recipe
from sslkit.registry import registry_of
from sslkit.roles import parameter_groups
from sslkit.table import results_table

CASES = {}  # of the fuzz, once `warm_up` has made them
NUM_CASES = 80

torch.set_num_threads(1)  # a child that is forked has no other threads


def network():
    """What the corpus' checkpoints are of."""
    torch.manual_seed(0)
    return nn.Linear(4, 2)


def read_checkpoint(path):
    step = checkpoint.claimed_step(path)
    found = checkpoint.load(path)
    assert checkpoint.step_of(found) == step
    net = network()
    checkpoint.restore(found, net, AdamW(parameter_groups(net), 0.1))
    return f"step {step}"


def read_features_file(path):
    features, facts = read_features(path)
    return f"{features.h.shape} {float(features.h.sum())} {features.labels} {facts['split']}"


def read_encoder(path):
    encoder, transform = load_encoder(path)
    h = encoder(transform(np.zeros((5, 5, transform.channels), np.uint8)))
    return tuple(h.shape)


def read_image(path):
    """One file, twice."""
    size = read_size(path)
    pixels = read_pixels(path, channels=3)
    assert pixels.shape == (*size, 3)
    read_pixels(path, channels=1, reduction=4)
    return f"{size} {pixels.reshape(-1, 3)[0].tolist()}"


def read_image_folder(path):
    images = ImageFolder("train", root=path, memory_gib=0.0)
    images.sizes(np.arange(len(images)))
    return [images.read(i, 1).shape for i in range(len(images))]


def read_recipe(path):
    return Recipe.load(path).digest()


def read_plugins(path):
    """All that `sslkit list` and `sslkit plugins` print, with packages of this folder; and a component of theirs."""
    sys.path.insert(0, str(path))
    plugins.scan.cache_clear()
    console().print(components_table(None))
    console().print(offers_table())
    for sentence in complaints():
        say(sentence, err=True)
    assert sys.stdout.getvalue().count("nt_xent") == 1, "what sslkit brings is listed"


def use_plugins(path):
    """A recipe names components of packages in this folder."""
    sys.path.insert(0, str(path))
    plugins.scan.cache_clear()
    for offer in plugins.scan().offers:
        if offer.kind == "losses":
            registry_of("losses").load(offer.name)


def read_results(path):
    """What `sslkit show` and `sslkit compare` do with a run folder."""
    run = RunFolder(path)
    results, _ = run.read_results()
    console().print(results_table(results, title=str(path), unreadable=run.read_unreadable()))
    if run.resolved.exists():
        run.read_resolved()
        for piece in tables(compare([path, path.parent / "other"]), width=120):
            console().print(piece)


def go_on_in_folder(path):
    """What a run does to a folder that it is told to go on in."""
    run = RunFolder(path)
    with locked(path, say=print):
        run.probe()
        run.tidy()
        checkpoint_folder.newest_whole(run.checkpoints)
        run.truncate("metrics.jsonl", step=3)
        run.append("metrics.jsonl", {"step": 4})
        whole_files.write(run.resolved, b"")
        for step in (5, 6, 7):
            checkpoint.save(checkpoint_folder.path_of(run.checkpoints, step), {"x": torch.ones(2)}, {"step": step})
            checkpoint_folder.purge(run.checkpoints)
        run.write_results([], finished=True)
    return sorted(str(one.relative_to(path)) for one in path.rglob("*"))


def fuzz_recipes(path):
    return fuzzed("recipes", path)


def fuzz_files(path):
    return fuzzed("files", path)


def fuzzed(what, path):
    """How often each outcome came of some cases of `benchmarks/fuzz.py`, and the tracebacks of crashes."""
    from fuzz import outcome_of  # found since `warm_up`

    found = [outcome_of(CASES[what], 7, number, path) for number in range(NUM_CASES)]
    return dict(Counter(outcome for outcome, _ in found)), [trace for _, trace in found if trace]


def unpickles(path):
    return pickle.loads(path.read_bytes())


def runs_code(path):
    exec(compile(path.read_text(), str(path), "exec"))


def imports(path):
    sys.path.insert(0, str(path.parent))
    importlib.import_module(path.stem)


def asks_the_shell(path):
    return os.system(f"true {path}")


def allocates(path):
    return len(b"x" * (512 * 2**20))


def hangs(path):
    time.sleep(60)


def loses_itself(path):
    return re.match("(a+)+$", "a" * 40 + "b")


def writes_elsewhere(path):
    (path.parent.parent / "elsewhere").write_text("x")


def raises(path):
    return {}["key"]


def is_killed(path):
    os.kill(os.getpid(), 9)


def warm_up(folder: Path) -> None:
    """Read one good file of each kind, so that what is imported late is there, and is not taken for what a file did."""
    import checkpoint_files
    import encoder_files
    import feature_files
    import image_files
    import recipe_files
    import result_files

    folder.mkdir(parents=True, exist_ok=True)
    for number, (module, read) in enumerate(
        {
            checkpoint_files: read_checkpoint, encoder_files: read_encoder, feature_files: read_features_file,
            image_files: read_image, recipe_files: read_recipe, result_files: read_results,
        }.items()
    ):  # fmt: skip
        place = folder / str(number)
        place.mkdir()
        read(module.good(place))
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    import fuzz_files
    import fuzz_recipes

    CASES.update(files=fuzz_files.Cases(), recipes=fuzz_recipes.Cases())
    registry_of("losses").load("nt_xent")
    console().print(components_table(None))
