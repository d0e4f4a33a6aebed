"""Hostile files are harmless: each is read by sslkit's own reader, which says what it is, or reads it and does nothing else."""

import re

import checkpoint_files
import encoder_files
import feature_files
import image_files
import plugin_files
import pytest
import recipe_files
import result_files

CONSTANT = 128 * 2**20  # bytes that any reader may take beside three times the size of its file
SECONDS = 20

CORPORA = {
    "checkpoint": ("read_checkpoint", checkpoint_files.CASES),
    "encoder": ("read_encoder", encoder_files.CASES),
    "features": ("read_features_file", feature_files.CASES),
    "image": ("read_image", image_files.CASES),
    "image folder": ("read_image_folder", image_files.FOLDERS),
    "plugin": ("read_plugins", plugin_files.CASES),
    "plugin in use": ("use_plugins", plugin_files.USED),
    "recipe": ("read_recipe", recipe_files.CASES),
    "results": ("read_results", result_files.CASES),
    "run folder": ("go_on_in_folder", result_files.FOLDERS),
}
CASES = [
    pytest.param(reader, case, id=f"{kind}: {name}")
    for kind, (reader, cases) in CORPORA.items()
    for name, case in cases.items()
]


def stored(folder):
    """The bytes that files take on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def refusals(found, folder):
    """What is wrong with how a file was read; nothing where all is well."""
    most = 3 * stored(folder) + CONSTANT
    wrong = [f"it did {event}" for event in found["forbidden"]]
    if found["outcome"] not in ("success", "SslkitError"):
        wrong.append(f"{found['outcome']}: {found['message']}")
    if found["grew"] > most:
        wrong.append(f"memory grew by {found['grew']:,} bytes, more than {most:,}")
    if unseen := [c for c in found["output"] if not c.isprintable() and c != "\n"]:
        wrong.append(f"{unseen[0]!r} was printed")
    if any(path.name == "executed" for path in folder.rglob("*")):
        wrong.append("code of the file was executed")
    return wrong


@pytest.mark.parametrize(("reader", "case"), CASES)
@pytest.mark.fault(
    "pickles under another name, and files of `torch.save`",
    injected="written in place of checkpoints, encoders, recipes and results",
    expected="one sentence; nothing executed, memory and time bounded",
    theme="files",
)
@pytest.mark.fault(
    "safetensors with wrong headers: endless, overlapping, with gaps, overflowing, repeated or unknown",
    injected="made byte by byte",
    expected="one sentence; nothing executed, memory and time bounded",
    theme="files",
)
@pytest.mark.fault(
    "metadata of checkpoints that is nested, missing, later or no number",
    injected="made, with a right digest",
    expected="one sentence; nothing executed, memory and time bounded",
    theme="files",
)
@pytest.mark.fault(
    "NaN in stored weights, weights of other shapes, another network",
    injected="made, with a right digest",
    expected="one sentence; nothing executed, memory and time bounded",
    theme="files",
)
@pytest.mark.fault(
    "names of code in a stranger's encoder",
    injected="modules, paths and `_target_` as names",
    expected="one sentence; nothing executed, memory and time bounded",
    theme="files",
)
@pytest.mark.fault(
    "features that are an array of objects, or cut off",
    injected="written in place of features",
    expected="one sentence; nothing executed, memory and time bounded",
    theme="files",
)
@pytest.mark.fault(
    "links out of the run folder",
    injected="checkpoints, features, evaluations and records as links",
    expected="nothing outside is written, deleted or followed",
    theme="files",
)
@pytest.mark.fault(
    "escape codes in names of tensors, packages, files and numbers",
    injected="written into the files",
    expected="printed escaped",
    theme="files",
)
@pytest.mark.fault(
    "plugins that are not there, exit, or have code as a target",
    injected="folders with the metadata of packages",
    expected="one sentence; nothing executed, memory and time bounded",
    theme="plugins",
)
def test_a_hostile_file_is_harmless(watched, tmp_path, reader, case):
    path = case.make(tmp_path)
    outside = {one: one.read_bytes() for one in tmp_path.glob("outside/*")}
    found = watched(reader, path, seconds=SECONDS)
    assert not refusals(found, tmp_path)
    assert found["outcome"] == ("success" if case.says is None or re.match(r"\\[(\[]", case.says) else "SslkitError"), found[
        "message"
    ]
    assert re.search(case.says or "", found["message"]), found["message"]
    assert {one: one.read_bytes() for one in tmp_path.glob("outside/*")} == outside


def test_the_corpus_is_large_enough():
    assert len(CASES) >= 45


@pytest.mark.parametrize(
    ("reader", "says"),
    [
        ("unpickles", "it did pickle.find_class"),
        ("runs_code", "it did exec|it did compile"),
        ("imports", "it did exec|it did compile"),
        ("asks_the_shell", "it did os.system"),
        ("allocates", "memory grew"),
        ("hangs", "hang"),
        ("loses_itself", "hang"),
        ("writes_elsewhere", "it did open"),
        ("raises", "KeyError"),
        ("is_killed", "died of signal 9"),
    ],
)
def test_a_reader_that_does_harm_is_noticed(watched, tmp_path, reader, says):
    """Else the test above would say nothing."""
    (tmp_path / "files").mkdir()
    path = tmp_path / "files" / "hostile.py"
    path.write_bytes(checkpoint_files.evil_pickle(tmp_path) if reader == "unpickles" else b"x = 1\n")
    found = watched(reader, path, seconds=10.0 if says == "memory grew" else 1.0)
    assert re.search(says, " ".join(refusals(found, tmp_path))), found
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "executed").exists()


def test_an_unseen_character_in_the_output_is_noticed(tmp_path):
    fine = {"outcome": "success", "message": "", "forbidden": [], "grew": 0, "output": "names: ö 日本 │\n"}
    assert refusals(fine, tmp_path) == []
    assert refusals({**fine, "output": "\x1b[2J"}, tmp_path)
