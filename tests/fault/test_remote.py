"""Files that others change without this kernel's knowledge (tests/README.md, row 33): the server shows what cat would show."""
import os
import subprocess

from mounted import Remote


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


def test_a_file_mounted_over_another_is_seen_where_rings_cannot_be_armed(scene):
    """A profile may let a server make its rings, and then refuse to use them."""
    worker = scene.worker(connect=False)
    images = [scene.image(name, seed=seed) for seed, name in enumerate(('below', 'above'))]
    paths = [f'{scene.folder}/{image.name}.png' for image in images]
    scene.serve('-w', '1', '-s', '2', command=[os.environ.get('FAULT_REFUSED', 'refused'), 'io_uring_enter', '--'])
    assert worker.connect()[0] == 0
    worker.call('release', worker.fetch(images[0]))
    subprocess.run(['mount', '--bind', paths[1], paths[0]], check=True)
    images[1].name = images[0].name
    assert worker.call('release', worker.fetch(images[1]))[0] == 0
    subprocess.run(['umount', '--lazy', paths[0]], check=True)
