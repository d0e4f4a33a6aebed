"""Methods without negatives: one view predicts the other, and what keeps it from collapse is where gradients do not go."""

from sslkit_byol.byol import BYOL
from sslkit_byol.simsiam import SimSiam

__all__ = ["BYOL", "SimSiam"]
