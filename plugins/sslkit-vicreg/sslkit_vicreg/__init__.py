"""Losses without negatives: what keeps images apart are the statistics of the batch."""

from sslkit_vicreg.barlow_twins import BarlowTwins
from sslkit_vicreg.vicreg import VICReg

__all__ = ["BarlowTwins", "VICReg"]
