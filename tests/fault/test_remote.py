"""Files that others change without this kernel's knowledge (tests/README.md, row 33): the server shows what cat would show."""
import io
import os
import subprocess
import tarfile
import time

from harness import NOT_FOUND, TRY_AGAIN, Image, until
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


def write_shard(path, members, changed=None):
    """In the place of what is there; of pictures by their names, in this order."""
    with tarfile.open(path + '.new', 'w') as shard:
        for name, picture in members.items():
            with open(picture, 'rb') as file:
                data = file.read()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    if changed:
        os.utime(path + '.new', (changed, changed))
    os.rename(path + '.new', path)


def bind_shard(scene, remote):
    """The one file of the mount, called as a shard; where that is."""
    target = f'{scene.folder}/bound.tar'
    with open(target, 'wb'):
        pass
    subprocess.run(['mount', '--bind', f'{remote.point}/image.png', target], check=True)
    return target


def test_a_shard_that_is_changed_behind_a_mount_is_seen(scene):
    """The server itself never opens it: a helper makes its index, and copies what is asked for."""
    remote = Remote(scene, f'{scene.scratch}/mounted')
    target = bind_shard(scene, remote)
    scene.serve('-w', '1', '-s', '2', '--decode-timeout', '2')
    worker = scene.worker()
    for seed, width in ((1, 64), (2, 64), (3, 80), (4, 80), (5, 64)):
        image = Image(scene.scratch, 'member', seed, width)
        write_shard(remote.backing, {'a/image.png': f'{scene.scratch}/member.png'})
        image.name = 'bound.tar/a/image'
        for _ in range(2):
            assert worker.call('release', worker.fetch(image))[0] == 0
        status, text = worker.call('fetch', 'bound.tar/a/none')
        assert status == NOT_FOUND and 'in the shard' in text
    remote.hang()
    status, text = worker.call('fetch', 'bound.tar/a/image')
    assert status == TRY_AGAIN and 'has not answered' in text
    remote.go_on()
    until(lambda: worker.call('fetch', 'bound.tar/a/image')[0] == 0, what='the mount to be asked again')
    worker.call('release', 0)
    subprocess.run(['umount', '--lazy', target], check=True)
    remote.end()


def test_no_member_is_taken_for_another_while_its_shard_is_written(scene):
    """Its stamps show nothing: the member's place is known of what was read before."""
    remote = Remote(scene, f'{scene.scratch}/mounted')
    target = bind_shard(scene, remote)
    image, _ = [Image(scene.scratch, name, seed) for seed, name in enumerate(('image', 'other'))]
    members = {f'{name}.png': f'{scene.scratch}/{name}.png' for name in ('image', 'other')}
    changed = int(time.time()) + 3600
    write_shard(remote.backing, members, changed)
    write_shard(remote.backing + '.next', dict(reversed(members.items())), changed)
    image.name = 'bound.tar/image'
    scene.serve('-w', '1', '-s', '2')
    worker = scene.worker()
    assert worker.call('release', worker.fetch(image))[0] == 0
    subprocess.run(['umount', '--lazy', target], check=True)
    remote.end()
