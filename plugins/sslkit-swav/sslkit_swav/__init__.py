"""Clusters in place of negatives: what one view is assigned to, the others predict."""

from sslkit_swav.sinkhorn import sinkhorn
from sslkit_swav.swav import SwAV

__all__ = ["SwAV", "sinkhorn"]
