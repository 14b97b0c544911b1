"""Images, decoded elsewhere, in shared memory: libshmsem for Python.

    with shmsem.fetch("apple", scale=2) as image:
        pixels = numpy.asarray(image)  # no copy; read-only; height x width x channels

An array stays valid after the `with`, after the connection was closed and after the server ended:
the image is given back when the last array (or memoryview, or tensor) that shows it is gone, and
not before. A server keeps what is held, so copy (copy=True) what is to be kept for long.

Everything works in threads and in children of fork() as well, which connect anew by themselves.
shmsem-python(3) tells of it all.
"""

from shmsem._errors import (
    BadDataError,
    Error,
    InternalError,
    NotFoundError,
    OutputError,
    PermissionDeniedError,
    TryAgainError,
    UnavailableError,
    UsageError,
)
from shmsem._shmsem import (
    Connection,
    Image,
    Info,
    Request,
    Server,
    fetch,
    fetch_batch,
    fetch_many,
    info,
    names,
    prefetch,
    version,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Sequence

    from shmsem._aio import AsyncConnection

__version__ = version()

# Nothing here hides a builtin from those who import *.
__all__ = [
    "AsyncConnection",
    "BadDataError",
    "Connection",
    "Error",
    "Image",
    "Info",
    "InternalError",
    "NotFoundError",
    "OutputError",
    "PermissionDeniedError",
    "Request",
    "Server",
    "TryAgainError",
    "UnavailableError",
    "UsageError",
    "cleanup",
    "connect",
    "fetch",
    "fetch_batch",
    "fetch_many",
    "info",
    "names",
    "objects",
    "prefetch",
    "version",
]

connect = Connection


def __getattr__(name: str) -> "Any":
    # Programs without an event loop do not pay for asyncio.
    if name == "AsyncConnection":
        from shmsem._aio import AsyncConnection

        globals()[name] = AsyncConnection
        return AsyncConnection
    raise AttributeError(f"module 'shmsem' has no attribute '{name}'")


def _run(arguments: "Sequence[str]", accept: "Sequence[int]") -> "Dict[str, Any]":
    import json
    import os
    import subprocess

    from shmsem._errors import BY_STATUS

    program = os.environ.get("SHMSEM_PROGRAM", "shmsem")
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        where = "" if "/" in program else " in PATH"
        raise UnavailableError(
            f"there is no program '{program}'{where}; SHMSEM_PROGRAM says which one to run"
        ) from None
    if done.returncode not in accept:
        raise BY_STATUS.get(done.returncode, InternalError)(done.stderr.strip())
    report: "Dict[str, Any]" = json.loads(done.stdout)
    return report


def objects(
    *, namespace: "Optional[str]" = None, everyone: bool = False, columns: "Sequence[str]" = ()
) -> "Dict[str, Any]":
    """What is in shared memory and who needs it: shmsem list --json, with these columns, too."""
    arguments = ["list", "--json"]
    if columns:
        arguments += ["--output", "+" + ",".join(columns)]
    if namespace is not None:
        arguments += ["--namespace", namespace]
    if everyone:
        arguments.append("--all")
    return _run(arguments, (0,))


def cleanup(*namespaces: str, dry_run: bool = False) -> "Dict[str, Any]":
    """Removes what dead servers left, and reports: shmsem cleanup --json."""
    arguments = ["cleanup", "--json"]
    if dry_run:
        arguments.append("--dry-run")
    return _run([*arguments, "--", *namespaces], (0, 1))
