"""A FUSE mount (fuse.py) for a test."""
import os
import subprocess
import sys

from harness import Image


class Remote:
    """A mount with image.png in it, which is a file of the scratch folder, called as the mount."""

    def __init__(self, scene, point, *silent):
        self.scene, self.point = scene, point
        self.name = 'behind-' + os.path.basename(point)
        self.backing = f'{scene.scratch}/{self.name}.png'
        os.makedirs(point, exist_ok=True)
        self.image = self.change(1, 64)
        self.process = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), 'fuse.py'), point, self.backing,
                                         *silent], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b'mounted\n', 'no FUSE mount here'

    def change(self, seed, width):
        self.image = Image(self.scene.scratch, self.name, seed, width)
        return self.image

    def hang(self):
        with open(self.backing + '.hangs', 'wb'):
            pass

    def go_on(self):
        os.unlink(self.backing + '.hangs')

    def end(self):
        """The kernel ends a mount whose daemon has gone, and all calls that wait for it."""
        if self.process.returncode is not None:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        subprocess.run(['umount', '--lazy', self.point], check=True)
