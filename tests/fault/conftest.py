"""Each test has a /dev/shm of its own, process 1 to be the parent of what loses its own, and a deadline; after it, nothing is left.

    @pytest.mark.shm(size='16m', inodes=40)    what its /dev/shm has (256m, any)
    @pytest.mark.deadline(600)                 the seconds after which it counts as hung (180)
"""
import faulthandler
import importlib
import os
import shutil
import signal
import subprocess

import pytest

pytest.register_assert_rewrite('harness')
harness = importlib.import_module('harness')


def pytest_configure(config):
    for marker in ('shm(size, inodes): what /dev/shm has', 'deadline(seconds): when a test counts as hung'):
        config.addinivalue_line('markers', marker)
    if os.getpid() != 1:
        pytest.exit('run me by meson, or by tests/cli/private --pid: the tests mount, and end what they started', 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """What its servers said belongs to the report of a test that failed."""
    report = (yield).get_result()
    if report.failed:
        item.failed = True
        for server in getattr(item.funcargs.get('scene'), 'servers', [])[-2:]:
            report.sections.append((f'server {server.pid} said', server.said()))


@pytest.fixture
def deadline(request):
    """Interrupts the call in which a test hangs, and shows where that is."""
    marker = request.node.get_closest_marker('deadline')
    seconds = marker.args[0] if marker else 180

    def hung(*_):
        faulthandler.dump_traceback()
        raise harness.Failure(f'hung: not done after {seconds} s')
    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def dev_shm(request, deadline):
    marker = request.node.get_closest_marker('shm')
    has = {'size': '256m', **(marker.kwargs if marker else {})}
    options = ','.join(['mode=1777', f'size={has["size"]}', *([f'nr_inodes={has["inodes"]}'] if 'inodes' in has else [])])
    subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'none', '/dev/shm'], check=True)
    unmount = ['umount', '--lazy', '/dev/shm']
    try:
        yield
        if not hasattr(request.node, 'failed'):
            assert not os.listdir('/dev/shm')
            harness.until(lambda: not harness.reap(), lambda: f'children to end: {harness.reap()}')
            # Only if nothing of it is open or mapped.
            subprocess.run(['umount', '/dev/shm'], check=True)
            unmount = ['true']
    finally:
        harness.end_children()
        subprocess.run(unmount, check=True)


@pytest.fixture
def scene(request, dev_shm, tmp_path):
    made = harness.Scene(tmp_path)
    try:
        yield made
        if not hasattr(request.node, 'failed'):
            made.close()
    finally:
        shutil.rmtree(tmp_path)
