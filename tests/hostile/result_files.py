"""Hostile run folders: their results, resolved recipes and links."""

import copy
import json
import os

import checkpoint_files
from cases import Case, evil_pickle, pipe, put, sparse

PROTOCOL = {
    "evaluation": "knn", "features": "h", "train": "train", "test": "test", "train_images": 3, "test_images": 3,
    "view": [{"name": "center_crop", "size": 4}], "seed": 0, "recipe": "0" * 12,
}  # fmt: skip
RECORD = {"encoder": "trained", "name": "knn_top1", "value": 0.5, "epoch": 1, "protocol": PROTOCOL}
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e[/bold][link=http://x]"
RESOLVED = '[train]\nseed = 0\n[resolved]\nversions = { sslkit = "0.1.0" }\n'


def run(results, resolved=RESOLVED):
    """A maker of a run folder, beside another one that is good."""

    def make(folder):
        for place, content in ((folder / "other", {"finished": True, "results": [RECORD]}), (folder / "run", results)):
            place.mkdir()
            if callable(content):
                content(place)
            else:
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                (place / "results.json").write_bytes(data)
            (place / "resolved.toml").write_bytes((RESOLVED if place.name == "other" else resolved).encode())
        return folder / "run"

    return make


def record(**changes):
    return run({"finished": True, "results": [{**copy.deepcopy(RECORD), **changes}]})


def protocol(**changes):
    return record(protocol={**PROTOCOL, **changes})


good = run({"finished": True, "results": [RECORD]})

CASES = {
    "good": Case(good, None),
    "pickle": Case(run(put("results.json", evil_pickle)), "can't be read: no JSON"),
    "nested 200,000 deep": Case(run(b"[" * 200_000), "nested 200,000 deep; at most 64"),
    "20 MB of lists": Case(run(b"[" + b"[]," * 7_000_000 + b"[]]"), "at most 1,048,576 are read"),
    "a gigabyte": Case(run(sparse("results.json", 2**30, b"{")), "it has 1,073,741,824 bytes, and it has at most"),
    "pipe": Case(run(pipe("results.json")), "it is a pipe, not a file"),
    "number of 5,000 digits": Case(run(b'{"finished":true,"results":' + b"9" * 5000 + b"}"), "can't be read"),
    "value 10^400": Case(record(value=10**400), "no number of usual size"),
    "value NaN": Case(record(value=float("nan")), None),
    "value true": Case(record(value=True), "no number of usual size"),
    "spread that is a word": Case(record(spread="wide"), "no number of usual size"),
    "epoch that is a word": Case(record(epoch="last"), "epoch is of another kind"),
    "law that is a list": Case(protocol(law=[1]), "law is no sentence"),
    "contents that are a list": Case(record(test_contents=[1]), "test_contents is no word"),
    "view of numbers": Case(protocol(view=[1, 2]), "no list of operations"),
    "no protocol": Case(record(protocol=None), "protocol is of another kind"),
    "escape codes and markup in a name": Case(record(name=ESCAPES), "no number in common"),
    "escape codes and markup in a protocol": Case(protocol(law=ESCAPES, test=ESCAPES, **{ESCAPES: ESCAPES}), "have other protocols"),
    "escape codes in an encoder": Case(record(encoder=ESCAPES), "no number in common"),
    "evaluation that is a path": Case(protocol(evaluation="../../../../etc/passwd"), "have other protocols"),
    "escape codes in a resolved recipe": Case(run({"finished": True, "results": [RECORD]}, RESOLVED + "e = " + json.dumps(ESCAPES)), None),
    "resolved recipe of 100 MB": Case(run({"finished": True, "results": [RECORD]}, "#" * 2_000_000), "it has 2,000,000 bytes"),
    "resolved recipe that is nested": Case(run({"finished": True, "results": [RECORD]}, "a = " + "[" * 1000), "nested too deep"),
}  # fmt: skip


def folder_with(change):
    """A maker of a run folder to go on in, and of a folder outside that must stay as it is."""

    def make(folder):
        outside, place = folder / "outside", folder / "run"
        (place / "checkpoints").mkdir(parents=True)
        outside.mkdir()
        checkpoint_files.good(place / "checkpoints")
        for name in ("step_0000001.safetensors", "step_0000002.safetensors", ".x.tmp", "mine"):
            (outside / name).write_bytes(b"mine")
        change(place, outside)
        return place

    return make


def link(name, target=""):
    def change(place, outside):
        if (place / name).is_dir():
            (place / name).rename(place / "was")
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).symlink_to(outside / target)

    return folder_with(change)


def checkpoint_links(place, outside):
    for step in (1, 2):
        (place / "checkpoints" / f"step_000000{step}.safetensors").symlink_to(outside / f"step_000000{step}.safetensors")


def damaged_leads_out(place, outside):
    (place / "checkpoints" / "damaged").symlink_to(outside)
    (place / "checkpoints" / "step_0000009.safetensors").write_bytes(b"torn")


FOLDERS = {
    "good": Case(folder_with(lambda place, outside: None), None),
    "checkpoints are a link": Case(link("checkpoints"), "is a link to"),
    "features are a link": Case(link("features"), "is a link to"),
    "evaluations are a link": Case(link("evaluations"), "is a link to"),
    "damaged is a link": Case(folder_with(damaged_leads_out), "is a link to"),
    "each checkpoint is a link": Case(folder_with(checkpoint_links), None),
    "lock is a link": Case(link(".lock", "mine"), "can't be written to: Too many levels of symbolic links"),
    "metrics are a link": Case(link("metrics.jsonl", "new"), "it is a link, which is not followed"),
    "what is written beside is a link": Case(link(".resolved.toml.tmp", "mine"), None),
    "results are a link": Case(link("results.json", "mine"), "no JSON"),
    "metrics are a pipe": Case(folder_with(lambda place, _: os.mkfifo(place / "metrics.jsonl")), "it is a pipe, not a file"),
    "metrics nested deep": Case(folder_with(lambda place, _: (place / "metrics.jsonl").write_bytes(b"[" * 100_000)), None),
}  # fmt: skip
