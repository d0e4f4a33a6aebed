"""Fingerprint: which images a run is trained on, so that it goes on with these alone, on all ranks, and tells which changed.

`[resolved]` of a run folder holds their number and a digest. Of a dataset of files `images.json.gz` beside it holds name and
size of each, from which the changes are told; it is read only if the digest is another.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from sslkit import bounded, json_text
from sslkit.datasets.contents import contents_of
from sslkit.datasets.images import Images
from sslkit.datasets.inventory import Inventory, inventory_of
from sslkit.distributed.agreement import bytes_from_leader, of_all, together
from sslkit.distributed.ranks import is_leader
from sslkit.errors import RunFolderError, UserError
from sslkit.folder import RunFolder
from sslkit.whole_files import write

Sizes = Mapping[str, int]  # the name of a file, in the order of the images -> its bytes

_MOST = 2_000_000  # files that are listed in a run folder, which are some 15 MB of it; of more the digest alone is kept
_LARGEST = 2**30  # bytes of the list, unpacked; what is longer is none of ours
_SHOWN = 3


@dataclass(frozen=True)
class Fingerprint:
    """How many images there are, a digest of what identifies them in their order, and, of files, which they are."""

    num_images: int
    digest: str
    inventory: Inventory | None

    @property
    def is_listed(self) -> bool:
        """Whether it can be told which images they are."""
        return self.inventory is not None and self.num_images <= _MOST

    def files(self) -> Sizes:
        """The files, if they are listed; made anew each time, since a million names are much to keep."""
        assert self.inventory is not None
        names = (os.fsdecode(name) for name in self.inventory.names.tolist())
        return dict(zip(names, self.inventory.sizes.tolist(), strict=True))


def fingerprint(images: Images, *, labelled: bool) -> Fingerprint:
    """That of the images of a training; `labelled` if it learns from their labels, which then count too."""
    digest = blake2b(contents_of(images).encode(), digest_size=16)
    if labelled and images.labels is not None:
        digest.update(images.labels.tobytes())
    return Fingerprint(len(images), digest.hexdigest(), inventory_of(images))


def remember(folder: RunFolder, images: Fingerprint) -> None:
    """Write the list of files into a run folder, if there is one and it is not there yet."""
    if images.is_listed and not folder.images.exists():
        write(folder.images, _packed(images.files()))


def refuse_other_images(folder: RunFolder, before: Mapping[str, Any], images: Fingerprint) -> None:
    """Refuse to go on with other images than the run began with: order, views and schedule would be of another run.

    Args:
        folder: the run folder.
        before: the resolved recipe in it; a folder of sslkit 0.1.0 knows only how many images there were.
        images: those that are there now.

    Raises:
        RunFolderError: they are others; it says how many were added, removed or changed, and names some.
    """
    derived = before.get("resolved", {})
    number, digest = derived.get("num_images"), derived.get("images", images.digest)
    if (number, digest) == (images.num_images, images.digest):
        return
    what = f"this run began with {number} images, and there are {images.num_images} now"
    if number == images.num_images:
        what = "the images are not those that this run began with"
    raise RunFolderError(
        f"{folder.path}: {what}{_told(_read(folder), images)}\n"
        f"Bring back what was there; or go on with these images, beside it, with --fork; or start anew beside it with --fresh."
    )


def refuse_other_files(images: Fingerprint) -> None:
    """Raise UserError if ranks see other image files than rank 0, naming some; called on all ranks."""
    said = of_all([images.digest, images.is_listed])
    if all(one == said[0] for one in said) or not all(listed for _, listed in said):
        return
    told = of_all(_told(_unpacked(bytes_from_leader(_packed(images.files()) if is_leader() else b"")), images))
    other = next(number for number, one in enumerate(said) if one != said[0])
    with together():
        if is_leader():
            raise UserError(
                f"rank {other}: its images are not those of rank 0{told[other]}\nAll ranks have to see the same images."
            )


def changes(before: Sizes, now: Sizes) -> list[str]:
    """What became of the files, a line each: how many were added, removed, changed in size, and moved in the order."""
    kept = [[name for name in files if name in others] for files, others in ((before, now), (now, before))]
    found = {
        "added": [name for name in now if name not in before],
        "removed": [name for name in before if name not in now],
        "of another size": [name for name in kept[1] if before[name] != now[name]],
        "at another place of the order": [name for name, other in zip(*kept, strict=True) if name != other],
    }
    return [f"{what}: {len(names)}, {_some(names)}" for what, names in found.items() if names]


def _told(before: Sizes | None, now: Fingerprint) -> str:
    """The end of a sentence about images that are others: what of them changed, as far as that is known."""
    if before is None or not now.is_listed:
        return "."
    lines = changes(before, now.files()) or ["names and sizes are the same, but not the bytes of some, or their labels"]
    return ":" + "".join(f"\n  {line}" for line in lines)


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ..."


def _packed(files: Sizes) -> bytes:
    text = json.dumps({"names": list(files), "bytes": list(files.values())})
    return gzip.compress(text.encode(), compresslevel=4, mtime=0)  # no date: the same images give the same file


def _unpacked(data: bytes) -> Sizes | None:
    """The list in such bytes; None where it is not one."""
    try:
        unpacker = zlib.decompressobj(wbits=31)
        content = json_text.parse(unpacker.decompress(data, _LARGEST), most_pieces=3 * _MOST)
        return dict(zip(content["names"], np.array(content["bytes"], dtype=np.int64).tolist(), strict=True))
    except (zlib.error, ValueError, KeyError, TypeError, OverflowError):
        return None


def _read(folder: RunFolder) -> Sizes | None:
    try:
        return _unpacked(bounded.read(folder.images, most=_LARGEST, what="it"))
    except OSError:  # without it the message names no file
        return None
