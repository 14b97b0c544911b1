"""The least there is: one image, as an array."""

import sys

import numpy
import shmsem

with shmsem.fetch(sys.argv[1], channels=3) as image:
    pixels = numpy.asarray(image)  # no copy; stays valid after the with
print(pixels.shape, pixels.dtype, pixels.mean(axis=(0, 1)).round())
