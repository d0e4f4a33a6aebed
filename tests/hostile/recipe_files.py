"""Hostile recipes."""

from cases import Case, directory, evil_pickle, leading, pipe, put, sparse
from small import TEXT

NAME = "recipe.toml"


def good(folder):
    (folder / NAME).write_text(TEXT)
    return folder / NAME


def text(changed):
    return put(NAME, changed.encode())


def instead(old, new):
    assert old in TEXT
    return text(TEXT.replace(old, new, 1))


LOSS = '"nt_xent", temperature = 0.2'
DEEP = "a" + ".a" * 100

CASES = {
    "good": Case(good, None),
    "pickle": Case(put(NAME, evil_pickle), "is not UTF-8 text"),
    "100 MB": Case(sparse(NAME, 10**8, b"# "), "it has 100,000,000 bytes, and a recipe has at most 1,048,576"),
    "byte-order mark": Case(text("\ufeff" + TEXT), "remove the byte-order mark"),
    "UTF-16": Case(put(NAME, TEXT.encode("utf-16")), "is not UTF-8 text"),
    "zeros": Case(put(NAME, bytes(1000)), "recipe.toml:1"),
    "empty": Case(text(""), "is missing"),
    "nested 5,000 deep": Case(text("a = " + "[" * 5000), "nested too deep; at most 32"),
    "tables 100 deep": Case(text(DEEP + " = 1"), "nested too deep"),
    "sections 100 deep": Case(text("[" + DEEP + "]"), "nested too deep"),
    "5,000 digits": Case(instead("0.2", "9" * 5000), "a number has more than 100 characters"),
    "5,000 digits of a fraction": Case(instead("0.2", "0." + "3" * 5000), None),
    "hundred digits": Case(instead("epochs = 3", "epochs = " + "9" * 99), None),
    "10^300 views": Case(text("num_views = " + "9" * 99 + "\n" + TEXT), "must be a whole number from 1 to 1000"),
    "temperature NaN": Case(instead("0.2", "nan"), "temperature: must be a finite number"),
    "lr infinite": Case(instead("base_lr = 0.5", "base_lr = inf"), "must be a finite number"),
    "quotes without end": Case(text('a = "' + '\\"' * 100_000), "recipe.toml"),
    "100,000 open texts": Case(text('"""' * 60_000), "recipe.toml"),
    "30,000 keys": Case(text("".join(f"k{i}=1\n" for i in range(30_000))), "there are 29,980 more sections"),
    "a key of 200,000 letters": Case(text("k" * 200_000 + " = 1"), "there is no such section"),
    "code as a name": Case(instead("nt_xent", "__import__('os').system('touch executed')"), "no loss is called"),
    "module as a name": Case(instead('"nt_xent"', '"os:system"'), "no loss is called 'os:system'"),
    "path as a name": Case(instead('"nt_xent"', '"../../evil"'), "no loss is called"),
    "_target_": Case(instead("temperature", "_target_"), "has no such parameter"),
    "interpolation": Case(instead("0.2", '"${HOME}"'), "must be a number"),
    "shell": Case(instead("0.2", '"pipe:touch executed"'), "must be a number"),
    "escape codes in a value": Case(instead('"nt_xent"', '"\\u001b[2J\\u0007"'), r"no loss is called '\\x1b\[2J"),
    "escape codes in a key": Case(text(TEXT.replace("[data]", '["\\u001b[2J"]\nx=1\n[data]')), "there is no such section"),
    "dates": Case(instead("0.2", "1979-05-27T07:32:00Z"), "must be a number"),
    "number as a section": Case(instead('{ name = "nt_xent", temperature = 0.2 }', "3"), "must be a table with a name"),
    "pipe": Case(pipe(NAME), "it is a pipe, not a file"),
    "folder": Case(directory(NAME), "it is a folder, not a file"),
    "device": Case(leading(NAME, "/dev/zero"), "it is a device, not a file"),
}  # fmt: skip
