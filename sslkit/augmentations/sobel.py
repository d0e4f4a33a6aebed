"""Sobel: edges instead of surfaces."""

from __future__ import annotations

import cv2
import numpy as np

from sslkit.augmentations.batch import Images
from sslkit.draws import Draw


class Sobel:
    """Replace each channel by the magnitude of its gradient, min(1, sqrt(gx^2 + gy^2)).

    gx smooths with [1, 2, 1] / 4 down the columns and takes the right neighbour minus the left one along the rows; gy is the
    same with rows and columns exchanged. These are Sobel's kernels by 1/4, so that an upright or level edge from black to white
    gives 1. An oblique one may give up to 1.12 and is clipped. At the border the image is mirrored without its outermost
    row being repeated, so that the border itself is no edge.

    SimCLR filters with Sobel in its ablation (arXiv:2002.05709, Fig. 5) and its broader set (appendix B.2), but no paper gives
    its parameters; these are ours: each channel by itself, the scale, and the border.

    The gradients are taken image by image, since a tall image would mix neighbours. The magnitude is numpy's, whose single
    steps round every pixel alike; the last bits of `cv2.magnitude` depend on a pixel's place in memory.
    """

    def __call__(self, images: Images, draw: Draw) -> Images:  # noqa: ARG002 - nothing is random
        """Images (n, h, w, c) in [0, 1] -> all of them filtered, in place."""
        images = np.ascontiguousarray(images)
        gx, gy = np.empty((2, *images.shape[1:]), dtype=np.float32)  # (h, w, c), the same memory for all images
        for image in images:
            cv2.Sobel(image, -1, 1, 0, dst=gx, scale=0.25, borderType=cv2.BORDER_REFLECT_101)
            cv2.Sobel(image, -1, 0, 1, dst=gy, scale=0.25, borderType=cv2.BORDER_REFLECT_101)
            gx *= gx
            gy *= gy
            np.add(gx, gy, out=image)
        np.sqrt(images, out=images)
        return np.minimum(images, 1, out=images)
