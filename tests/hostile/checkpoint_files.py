"""Hostile checkpoints."""

import json

import torch
from cases import Case, directory, entry, evil_pickle, evil_zip, leading, pipe, put, sparse, tensors
from safetensors.torch import save as save_tensors
from torch import nn

from sslkit import checkpoint
from sslkit.optimizers.adamw import AdamW
from sslkit.roles import parameter_groups

NAME = "step_0000003.safetensors"


def good(folder, **facts):
    torch.manual_seed(0)
    net = nn.Linear(4, 2)
    optimizer = AdamW(parameter_groups(net), 0.1)
    net(torch.ones(3, 4)).sum().backward()
    optimizer.step()
    checkpoint.save(folder / NAME, checkpoint.state(net, optimizer), {"kind": "checkpoint", "step": 3, **facts})
    return folder / NAME


def signed(found, facts):
    """A file with a right digest, whatever is in it: nothing hinders a stranger."""
    facts = {**facts, "digest": checkpoint.digest(found, facts)}
    return save_tensors(found, {"sslkit": json.dumps(facts, sort_keys=True)})


def with_facts(**facts):
    return put(
        NAME,
        lambda folder: signed(checkpoint.load(good(folder)).tensors, {"kind": "checkpoint", "step": 3, "format": 1, **facts}),
    )


def without_step(folder):
    return signed(checkpoint.load(good(folder)).tensors, {"kind": "checkpoint", "format": 1})


def with_tensor(name, tensor):
    return put(NAME, lambda folder: signed({**checkpoint.load(good(folder)).tensors, name: tensor}, {"step": 3, "format": 1}))


def cut(folder):
    return good(folder).read_bytes()[:-7]


def longer(folder):
    return good(folder).read_bytes() + b"x"


def flipped(folder):
    data = bytearray(good(folder).read_bytes())
    data[-3] ^= 1
    return bytes(data)


def flat(*pairs):
    """A header with these tensors, facts that are right, and 64 bytes."""
    return put(NAME, tensors(dict(pairs), bytes(64), {"step": 3}))


NESTED = b"[" * 200_000 + b"]" * 200_000
TWICE = b'{"__metadata__":{"sslkit":"{}"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WIDE = b'{"a":' + b"[" + b"[]," * 5_000_000 + b"[]]}"
NAMES = json.dumps({"__metadata__": {"sslkit": "{}"}, **{f"t{i}": entry(0, 0) for i in range(70_000)}}).encode()

CASES = {
    "good": Case(good, None),
    "pickle": Case(put(NAME, evil_pickle), "it is a pickle, which runs code when it is read; sslkit never unpickles"),
    "pickle of protocol 0": Case(put(NAME, lambda folder: b"cos\nsystem\n(S'touch " + bytes(folder / "executed") + b"'\ntR."), "it is a pickle"),
    "pickle of protocol 5": Case(put(NAME, lambda folder: evil_pickle(folder, 5)), "it is a pickle"),
    "torch.save": Case(put(NAME, evil_zip), "it is a zip archive, as torch.save writes it"),
    "pickle behind a header": Case(put(NAME, lambda folder: tensors({}, evil_pickle(folder), {"step": 3})), "its header speaks of 0"),
    "empty": Case(put(NAME, b""), "cut off, or no safetensors"),
    "web page": Case(put(NAME, b"<!DOCTYPE html><html>404</html>"), "it is a web page"),
    "Git LFS": Case(put(NAME, b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), "git lfs pull"),
    "cut off": Case(put(NAME, cut), "bytes of data, and its header speaks of"),
    "one byte more": Case(put(NAME, longer), "bytes of data, and its header speaks of"),
    "one bit flipped": Case(put(NAME, flipped), "does not match its digest"),
    "header longer than the file": Case(put(NAME, b"\xff" * 7 + b"\x7f{}"), "cut off, or no safetensors"),
    "header of 17 MB": Case(sparse(NAME, 20_000_000, (17_000_000).to_bytes(8, "little") + b"{"), "its header has 17,000,000 bytes; at most"),
    "header of 100 GB": Case(sparse(NAME, 10**11 + 8, (10**11).to_bytes(8, "little") + b"{"), "its header has 100,000,000,000 bytes"),
    "a file of a terabyte": Case(sparse(NAME, 2**40), "it has 1,099,511,627,776 bytes, and a checkpoint has at most"),
    "a file of 200 GB": Case(sparse(NAME, 2 * 10**11), "cut off, or no safetensors"),
    "nested 200,000 deep": Case(put(NAME, tensors(b'{"a":' + NESTED + b"}")), "nested 200,001 deep; at most 64"),
    "5,000,000 lists": Case(put(NAME, tensors(WIDE)), "at most 524,288 are read"),
    "70,000 tensors": Case(put(NAME, tensors(NAMES)), "at most 524,288 are read"),
    "one name of 16 MB": Case(put(NAME, tensors(('{"' + "\U0001f600" * 4_000_000 + '": 1}').encode())), "metadata are not those"),
    "UTF-16 header": Case(put(NAME, tensors('{"a": 1}'.encode("utf-16-le"))), "is not a whole checkpoint"),
    "no metadata": Case(put(NAME, tensors({"x": entry(0, 4)}, bytes(4))), "metadata are not those"),
    "another's metadata": Case(put(NAME, tensors({"__metadata__": {"format": "pt"}, "x": entry(0, 4)}, bytes(4))), "metadata are not those"),
    "metadata of two keys": Case(put(NAME, tensors({"__metadata__": {"sslkit": "{}", "b": ""}})), "metadata are not those"),
    "facts nested deep": Case(put(NAME, tensors({}, b"", NESTED.decode())), "nested 200,000 deep; at most 64"),
    "facts are a list": Case(put(NAME, tensors({}, b"", "[]")), "its facts are no table"),
    "a name twice": Case(put(NAME, tensors(TWICE, bytes(4))), "'x' is there twice"),
    "overlap": Case(flat(("x", entry(0, 40)), ("y", entry(24, 64))), "overlap, or leave a gap"),
    "ten on one place": Case(flat(*((f"x{i}", entry(0, 64)) for i in range(10))), "overlap, or leave a gap"),
    "gap": Case(flat(("x", entry(0, 24)), ("y", entry(40, 64))), "overlap, or leave a gap"),
    "backwards": Case(flat(("x", entry(64, 0))), "impossible shape"),
    "beyond the file": Case(flat(("x", entry(0, 400))), "its header speaks of 400"),
    "shape that overflows": Case(flat(("x", entry(0, 64, [2**40, 2**40]))), "impossible shape"),
    "shape of minus one": Case(flat(("x", entry(0, 64, [-1]))), "impossible shape"),
    "shape of halves": Case(flat(("x", entry(0, 64, [16.5]))), "impossible shape"),
    "nothing, 2^62 times 2^62": Case(flat(("x", entry(0, 0, [0, 2**62, 2**62])), ("y", entry(0, 64))), "impossible shape"),
    "1,000 axes": Case(flat(("x", entry(0, 4, [1] * 1000)), ("y", entry(4, 64))), "impossible shape"),
    "wrong type": Case(flat(("x", entry(0, 64, [16], "F64"))), "does not fit its shape and type"),
    "unknown type": Case(flat(("x", entry(0, 64, [16], "F4"))), "unknown type, 'F4'"),
    "type that is a list": Case(flat(("x", entry(0, 64, [16], []))), "unknown type"),
    "NaN offsets": Case(put(NAME, tensors(b'{"__metadata__":{"sslkit":"{}"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,NaN]}}', bytes(4))), "does not fit"),
    "more keys": Case(flat(("x", {**entry(0, 64), "strides": [1]})), "other things than type, shape and place"),
    "NaN weight": Case(with_tensor("method/weight", torch.full((2, 4), torch.nan)), "'method/weight' holds NaN or infinity"),
    "infinite buffer of the optimizer": Case(with_tensor("optimizer/weight/exp_avg", torch.full((2, 4), torch.inf)), "exp_avg' holds NaN or infinity"),
    "later format": Case(with_facts(format=2), "is of format 2; a later version of sslkit wrote it"),
    "format of 4,000 digits": Case(with_facts(format=10**4000), "a later version of sslkit wrote it"),
    "format that is a word": Case(with_facts(format="x"), "which there is not"),
    "no step": Case(put(NAME, without_step), "does not say after which step"),
    "step below 0": Case(with_facts(step=-1), "which is no count of steps"),
    "step NaN": Case(with_facts(step=float("nan")), "which is no count of steps"),
    "step true": Case(with_facts(step=True), "which is no count of steps"),
    "step 10^400": Case(with_facts(step=10**400), "which is no count of steps"),
    "another kind": Case(with_facts(kind="encoder"), "is no checkpoint of a training"),
    "another network": Case(with_tensor("method/more", torch.ones(3)), "holds another network"),
    "escape codes in a name": Case(with_tensor("method/\x1b[2J\x1b]0;owned\x07", torch.ones(3)), "holds another network"),
    "pipe": Case(pipe(NAME), "it is a pipe, not a file"),
    "folder": Case(directory(NAME), "it is a folder, not a file"),
    "device": Case(leading(NAME, "/dev/zero"), "it is a device, not a file"),
    "link to itself": Case(leading(NAME, NAME), "Too many levels of symbolic links"),
}  # fmt: skip
