"""Files that others change without this kernel's knowledge (tests/README.md, row 33): the server shows what cat would show."""
import os
import subprocess
import sys

from harness import Image


class Remote:
    """A mount with image.png in it, which is backing.png of the scratch folder."""

    def __init__(self, scene, point):
        self.scene, self.point = scene, point
        os.makedirs(point, exist_ok=True)
        self.image = self.change(1, 64)
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(__file__), 'fuse.py'), point, f'{scene.scratch}/backing.png'],
            stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b'mounted\n', 'no FUSE mount here'

    def change(self, seed, width):
        self.image = Image(self.scene.scratch, 'backing', seed, width)
        return self.image

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        subprocess.run(['umount', '--lazy', self.point], check=True)


def follows_changes(scene, worker, remote, name):
    """Of the same size and of another one, each seen by the next request."""
    for seed, width in ((1, 64), (2, 64), (3, 80), (4, 80), (5, 64)):
        image = remote.change(seed, width)
        image.name = name
        for _ in range(2):
            assert worker.call('release', worker.fetch(image))[0] == 0


def test_a_change_behind_a_mount_that_caches_attributes_is_seen(scene):
    remote = Remote(scene, f'{scene.folder}/mounted')
    scene.serve('-w', '1', '-s', '2')
    follows_changes(scene, scene.worker(), remote, 'mounted/image')
    remote.end()


def test_a_remote_file_mounted_into_a_local_folder_is_no_local_file(scene):
    remote = Remote(scene, f'{scene.scratch}/mounted')
    scene.image('local')
    target = f'{scene.folder}/bound.png'
    with open(target, 'wb'):
        pass
    subprocess.run(['mount', '--bind', f'{remote.point}/image.png', target], check=True)
    scene.serve('-w', '1', '-s', '2')
    follows_changes(scene, scene.worker(), remote, 'bound')
    subprocess.run(['umount', '--lazy', target], check=True)
    remote.end()
