"""Contrast with what was seen before: a queue of keys, or a memory of all images, in place of large batches."""

from sslkit_moco.instdisc import InstDisc
from sslkit_moco.moco import MoCo

__all__ = ["InstDisc", "MoCo"]
