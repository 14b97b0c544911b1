"""Labels of a WebDataset's shard, beside its images: labels.py FILE NAME, which is what the server calls the shard."""

import sys
import tarfile

import shmsem

file, name = sys.argv[1:]
labels = {}
with tarfile.open(file) as shard:
    for member in shard:
        if member.name.endswith(".cls"):
            key = member.name.removeprefix("./").removesuffix(".cls")
            labels[key] = int(shard.extractfile(member).read())
for key, label in labels.items():
    with shmsem.fetch(f"{name}/{key}", channels=3) as image:
        print(key, image.shape, label)
