"""The image module in a process of its own, as decode_files.c offers it."""

import os
import struct
import subprocess

import numpy

NATIVE_DEPTH, KEEP_ORIENTATION, PREMULTIPLY, STRICT, LENIENT, DRAFT, CENTRED = (
    1 << i for i in range(7)
)
FILTERS = ["bicubic", "box", "bilinear", "lanczos"]
ANSWER = struct.Struct("@i9IQ512s")


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Image:
    """Pixels as an array of height x width x channels, and what was said of them."""

    def __init__(self, fields, pixels):
        (_, self.width, self.height, self.channels, self.bits, self.scale) = fields[:6]
        (self.orientation, self.comments, self.animated, self.icc_bytes) = fields[6:10]
        self.warning = fields[11].split(b"\0")[0].decode()
        kind = numpy.uint16 if self.bits == 16 else numpy.uint8
        shape = self.height, self.width, self.channels
        self.pixels = numpy.frombuffer(pixels, kind).reshape(shape)


class Decoder:
    def __init__(self):
        self.process = subprocess.Popen(
            [os.environ["DECODE_FILES"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0

    def decode(
        self,
        data,
        scale=0,
        channels=0,
        layout=0,
        flags=0,
        fit=(0, 0),
        size=(0, 0),
        shorter=0,
        longer=0,
        crop=(0, 0, 0, 0),
        resample="bicubic",
        pixels=0,
        memory=0,
        side=0,
    ):
        options = struct.pack(
            "4B10I4B",
            scale, channels, layout, flags, *fit, *size, shorter, longer, *crop,
            FILTERS.index(resample), 0, 0, 0,
        )  # fmt: skip
        limits = struct.pack("@4Q3I4x", pixels, 0, memory, 0, side, 0, 0)
        stdin, stdout = self.process.stdin, self.process.stdout
        stdin.write(struct.pack("Q", len(data)) + options + limits + data)
        stdin.flush()
        fields = ANSWER.unpack(stdout.read(ANSWER.size))
        got = stdout.read(fields[10])
        if fields[0]:
            raise Refused(fields[0], fields[11].split(b"\0")[0].decode())
        return Image(fields, got)
