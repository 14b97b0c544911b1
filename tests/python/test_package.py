"""The package as such: names, types, help, leaks, and what its import costs."""

import builtins
import gc
import inspect
import json
import os
import subprocess
import sys
import tracemalloc

import numpy
import pytest
from conftest import SPACE

import shmsem

PACKAGE = os.path.dirname(shmsem.__file__)


def run(*arguments, **environment):
    done = subprocess.run(
        [*arguments], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_import_star_hides_no_builtin():
    names = {}
    exec("from shmsem import *", names)
    taken = {name for name in names if not name.startswith("__")}
    assert not taken & set(dir(builtins))
    assert taken == set(shmsem.__all__)


@pytest.mark.parametrize("program, where", [("no-such-program", " in PATH"), ("/no/such", "")])
def test_a_program_that_is_not_found_is_named(monkeypatch, program, where):
    monkeypatch.setenv("SHMSEM_PROGRAM", program)
    for call in (shmsem.objects, shmsem.cleanup):
        with pytest.raises(shmsem.UnavailableError) as missing:
            call()
        assert str(missing.value) == (
            f"there is no program '{program}'{where}; SHMSEM_PROGRAM says which one to run"
        )


def test_versions_agree():
    assert shmsem.__version__ == shmsem.version()
    assert run(os.environ["SHMSEM"], "--version").split()[1] == shmsem.__version__


def test_help_shows_exact_signatures():
    assert str(inspect.signature(shmsem.Connection)) == (
        "(namespace=None, *, wait=0, timeout=None, guard=False, server_user=None)"
    )
    assert str(inspect.signature(shmsem.names)) == "(*, namespace=None)"
    for name in ("fetch", "info", "fetch_many", "fetch_batch"):
        for owner in (shmsem, shmsem.Connection):
            parameters = inspect.signature(getattr(owner, name)).parameters
            assert "scale" in parameters and parameters["timeout"].default is None
    # Each keyword that help() shows is taken, with the value that it shows.
    with shmsem.connect(SPACE) as client:
        for owner in (shmsem, client):
            for name, first in (("fetch", "apple"), ("info", "apple"), ("fetch_many", ["apple"])):
                call = getattr(owner, name)
                defaults = {
                    key: value.default
                    for key, value in inspect.signature(call).parameters.items()
                    if value.kind is inspect.Parameter.KEYWORD_ONLY
                }
                assert call(first, **defaults)
    for one in (shmsem.Image, shmsem.Connection, shmsem.Server, shmsem.fetch, shmsem.cleanup):
        assert one.__doc__
        for name, method in inspect.getmembers(one):
            if not name.startswith("_"):
                assert inspect.getdoc(method), name


def test_the_types_are_checked(tmp_path):
    user = tmp_path / "user.py"
    user.write_text(
        """import pathlib
import shmsem


def height(name: str) -> int:
    with shmsem.fetch(name, scale=2, layout="bgr") as image:
        return image.shape[0]


def all_of_it(client: shmsem.Connection) -> None:
    images = client.fetch_many([pathlib.Path("a"), b"b"], on_error="return")
    shown = [image.info.width for image in images if isinstance(image, shmsem.Image)]
    shown.append(client.info("a").height)
    shown.append(client.info("a").offset if client.info("a").cmyk else 0)
    client.fetch_many(["a"])[0].copy_into(bytearray(5))
    client.fetch_batch(["a"], out=bytearray(5), timeout=3)
    shmsem.fetch_batch(["a"], namespace="other")
    shmsem.objects(namespace="a", columns=["HELD"])


async def later() -> bytes:
    async with shmsem.AsyncConnection(threads=2) as client:
        return bytes(await client.fetch("a"))


def make(request: shmsem.Request) -> bytes:
    return request.name.encode()


with shmsem.Server(make, names=lambda: ["a"]) as server:
    server.publish("a", b"a")
    server.run(3)
"""
    )
    mypy = ["mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    parent = os.path.dirname(PACKAGE)
    run(*mypy, str(user), MYPYPATH=parent)
    run(*mypy, "-p", "shmsem", "--exclude", "torch", MYPYPATH=parent)
    user.write_text("import shmsem\nshmsem.fetch('a', sclae=2)\nshmsem.fetch(3)\n")
    done = subprocess.run(
        [*mypy, str(user)], capture_output=True, text=True, env={**os.environ, "MYPYPATH": parent}
    )
    assert done.stdout.count("error:") == 2, done.stdout


def test_the_stubs_have_what_the_module_has():
    """Every public name and parameter of the module is in its stub, and the other way round."""
    import ast

    with open(os.path.join(PACKAGE, "_shmsem.pyi")) as file:
        tree = ast.parse(file.read())
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef) or node.name not in ("Connection", "Image", "Server"):
            continue
        here = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
        there = {name for name in vars(getattr(shmsem, node.name)) if not name.startswith("_")}
        assert there == {name for name in here if not name.startswith("_")}
        for one in node.body:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_") and not any(
                isinstance(d, ast.Name) and d.id in ("property", "overload") for d in one.decorator_list
            ):
                known = inspect.signature(getattr(getattr(shmsem, node.name), one.name)).parameters
                stub = [a.arg for a in one.args.posonlyargs + one.args.args + one.args.kwonlyargs]
                assert list(known) == stub, one.name


def test_info_has_the_fields_of_its_stub():
    import ast

    with open(os.path.join(PACKAGE, "_shmsem.pyi")) as file:
        tree = ast.parse(file.read())
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in ("Info", "Request"):
            fields = [one.target.id for one in node.body if isinstance(one, ast.AnnAssign)]
            assert list(getattr(shmsem, node.name).__match_args__) == fields


def test_nothing_leaks():
    """References, memory and descriptors stay as they are, whatever was called."""
    names = ["apple", "car"]

    def everything():
        with shmsem.connect(SPACE) as client:
            for options in ({}, {"copy": True}, {"layout": "bgr", "fit": (5, 5)}):
                with client.fetch("apple", **options) as image:
                    numpy.asarray(image)[0, 0]
                    memoryview(image), image.info, image.icc, image.shape, repr(image)
                    image.__array_interface__, image.__reduce__(), image.copy_into
            client.info("apple"), client.names(), client.ping(), client.__reduce__()
            client.fetch_many(names), client.fetch_many(["pear"], on_error="return")
            client.fetch_batch(["apple", "apple"])
            for wrong in ("pear", "broken", "a\0b", 5):
                with pytest.raises(Exception):
                    client.fetch(wrong)
            for options in ({"scale": 9}, {"fit": 2}, {"nothing": 3}, {"timeout": "x"}):
                with pytest.raises(Exception):
                    client.fetch("apple", **options)
        with shmsem.Server(lambda request: b"", namespace=SPACE + "-leak") as server:
            server.publish("a", b"x")
            server.run(0.001)

    def state():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), sys.getrefcount(names[0]), sys.getrefcount(None)

    for _ in range(3):
        everything()
    tracemalloc.start()
    before, memory = state(), tracemalloc.get_traced_memory()[0]
    for _ in range(30):
        everything()
    after, grown = state(), tracemalloc.get_traced_memory()[0] - memory
    tracemalloc.stop()
    assert after[0] == before[0]
    assert after[1] == before[1]
    assert abs(after[2] - before[2]) < 30
    assert grown < 20000


def test_warnings_are_errors_and_there_are_none():
    code = (
        "import shmsem, asyncio\n"
        "shmsem.fetch('apple'); c = shmsem.connect(); c.fetch('car')\n"
        "async def work():\n"
        "    async with shmsem.AsyncConnection() as client: await client.fetch('dog')\n"
        "async def main():\n"
        "    asyncio.get_running_loop().slow_callback_duration = 60\n"
        "    await work()\n"
        "asyncio.run(main())\n"
    )
    assert run(sys.executable, "-X", "dev", "-W", "error", "-c", code) == ""


def test_the_import_loads_nothing_else():
    code = (
        "import sys; before = set(sys.modules); import shmsem;"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = run(sys.executable, "-c", code).split()
    assert loaded == ["shmsem", "shmsem._errors", "shmsem._shmsem"]


def test_bench_measures_the_package(tmp_path):
    (tmp_path / "python3").symlink_to(sys.executable)
    report = tmp_path / "report.json"
    program = [os.environ["SHMSEM"], "bench", "python", "--export-json", report]
    path = f"{tmp_path}:{os.environ['PATH']}"
    run(*program, "-t", "1ms", "-r", "2", "-w", "0", PATH=path)
    with open(report) as file:
        measured = json.load(file)
    assert {row["part"] for row in measured["results"]} == {"python"}
    assert len(measured["results"]) == 5
    assert [goal["goal"].split(",")[0] for goal in measured["goals"]] == ["Python"] * 3


def test_the_loader_measures_both_ways():
    loader = os.path.join(os.path.dirname(__file__), "loader.py")
    output = run(sys.executable, loader, os.environ["SHMSEM_IMAGES"], "1")
    assert output.count("images/s in each epoch") == 2
