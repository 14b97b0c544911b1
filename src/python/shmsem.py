"""Images, decoded elsewhere, in shared memory: the Python side of libshmsem.

    with shmsem.fetch("apple", scale=2) as image:
        pixels = numpy.asarray(image)  # no copy; read-only; height x width x channels

An array stays valid after the `with`, after the connection was closed and after the server ended:
the image is given back when the last array (or memoryview) that shows it is gone, and not before.
A server keeps what is held, so copy (copy=True) what is to be kept for long.

Needs libshmsem.so.0 and nothing but the standard library; numpy is used where the caller does.
Connections may be shared by threads, which then take turns. After fork() a connection refuses to
work in the child, which must connect anew; fetch(), info() and names() of this module do so by
themselves.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import threading
from types import TracebackType
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type

__all__ = [
    "BadDataError",
    "Connection",
    "Error",
    "Image",
    "Info",
    "InternalError",
    "NotFoundError",
    "OutputError",
    "PermissionDeniedError",
    "TryAgainError",
    "UnavailableError",
    "UsageError",
    "cleanup",
    "connect",
    "fetch",
    "info",
    "list",
    "names",
    "version",
]

_MESSAGE_SIZE = 512
_HELD_MAX = 64
_GUARD_SIGBUS = 1 << 0
_REQUEST_FLAGS = {
    "native_depth": 1 << 0,
    "keep_orientation": 1 << 1,
    "premultiply": 1 << 2,
    "strict": 1 << 3,
    "lenient": 1 << 4,
}
_LAYOUTS = {"rgb": 0, "bgr": 1}
_FORMATS = {1: "png", 2: "jpeg"}


# ---- errors ----


class Error(Exception):
    """What went wrong, in one sentence; `status` is the exit status that the commands have."""

    status = 70

    def __init__(self, message: str, os_error: int = 0) -> None:
        super().__init__(message)
        self.os_error = os_error


class UsageError(Error, ValueError):
    """An argument is wrong, or a connection was used in a child of fork()."""

    status = 64


class BadDataError(Error):
    """Not a decodable image, or a corrupt segment."""

    status = 65


class NotFoundError(Error, LookupError):
    """The server has no such image."""

    status = 66


class UnavailableError(Error, ConnectionError):
    """No server, or it died while we waited; the next call looks for a new one."""

    status = 69


class InternalError(Error):
    """A bug, or a kernel without what is needed."""

    status = 70


class OutputError(Error):
    """Something could not be written."""

    status = 74


class TryAgainError(Error, TimeoutError):
    """Timed out, cancelled, busy, or out of shared memory."""

    status = 75


class PermissionDeniedError(Error, PermissionError):
    """The system refuses."""

    status = 77


_ERRORS: Dict[int, Type[Error]] = {
    kind.status: kind
    for kind in (
        UsageError,
        BadDataError,
        NotFoundError,
        UnavailableError,
        InternalError,
        OutputError,
        TryAgainError,
        PermissionDeniedError,
    )
}


def _error(status: int, message: str, os_error: int = 0) -> Error:
    return _ERRORS.get(status, InternalError)(message, os_error)


# ---- the library ----


class _Error(ctypes.Structure):
    _fields_ = [
        ("status", ctypes.c_int),
        ("os_error", ctypes.c_int),
        ("message", ctypes.c_char * _MESSAGE_SIZE),
    ]


class _ConnectOptions(ctypes.Structure):
    _fields_ = [
        ("name_space", ctypes.c_char_p),
        ("wait_ns", ctypes.c_uint64),
        ("timeout_ns", ctypes.c_uint64),
        ("flags", ctypes.c_uint),
        ("log", ctypes.c_void_p),
        ("log_data", ctypes.c_void_p),
        ("reserved", ctypes.c_uint64 * 4),
    ]


class _Request(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("timeout_ns", ctypes.c_uint64),
        ("scale", ctypes.c_uint8),
        ("channels", ctypes.c_uint8),
        ("layout", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("fit_width", ctypes.c_uint32),
        ("fit_height", ctypes.c_uint32),
        ("reserved", ctypes.c_uint64 * 2),
    ]


class _Info(ctypes.Structure):
    _fields_ = [
        ("bytes", ctypes.c_uint64),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("stride", ctypes.c_uint32),
        ("channels", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("format", ctypes.c_uint8),
        ("orientation", ctypes.c_uint8),
        ("scale", ctypes.c_uint8),
        ("file_bits", ctypes.c_uint8),
        ("file_channels", ctypes.c_uint8),
        ("from_store", ctypes.c_uint8),
        ("file_width", ctypes.c_uint32),
        ("file_height", ctypes.c_uint32),
        ("icc_bytes", ctypes.c_uint32),
        ("gamma", ctypes.c_uint32),
        ("comments", ctypes.c_uint32),
        ("holders", ctypes.c_uint32),
        ("segment", ctypes.c_uint32),
        ("animated", ctypes.c_uint8),
        ("srgb", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8 * 2),
        ("offset", ctypes.c_uint64),
        ("age_ns", ctypes.c_uint64),
        ("file_bytes", ctypes.c_uint64),
        ("chromaticities", ctypes.c_int32 * 8),
        ("warning", ctypes.c_char * 200),
    ]


class _Image(ctypes.Structure):
    _fields_ = [
        ("pixels", ctypes.c_void_p),
        ("icc", ctypes.c_void_p),
        ("info", _Info),
        ("connection", ctypes.c_void_p),
        ("hold", ctypes.c_uint32),
    ]


_Each = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ.get("SHMSEM_LIBRARY", "libshmsem.so.0"))
    pointer = ctypes.POINTER
    prototypes: Dict[str, Tuple[Any, List[Any]]] = {
        "shmsem_connect": (
            ctypes.c_int,
            [pointer(ctypes.c_void_p), pointer(_ConnectOptions), pointer(_Error)],
        ),
        "shmsem_close": (None, [ctypes.c_void_p]),
        "shmsem_ping": (ctypes.c_int, [ctypes.c_void_p, pointer(_Error)]),
        "shmsem_fetch": (
            ctypes.c_int,
            [ctypes.c_void_p, pointer(_Request), pointer(_Image), pointer(_Error)],
        ),
        "shmsem_release": (None, [pointer(_Image)]),
        "shmsem_check": (ctypes.c_int, [pointer(_Image), pointer(_Error)]),
        "shmsem_info": (
            ctypes.c_int,
            [ctypes.c_void_p, pointer(_Request), pointer(_Info), pointer(_Error)],
        ),
        "shmsem_names": (
            ctypes.c_int,
            [ctypes.c_void_p, _Each, ctypes.c_void_p, pointer(_Error)],
        ),
        "shmsem_cancel": (None, [ctypes.c_void_p]),
        "shmsem_namespace": (ctypes.c_char_p, [ctypes.c_void_p]),
        "shmsem_version": (ctypes.c_char_p, []),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


_library = _load()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    if b"\0" in raw:
        raise UsageError("there is a NUL in the name")
    return raw


def _nanoseconds(seconds: Optional[float]) -> int:
    if seconds is None:
        return 0
    if seconds < 0:
        raise UsageError("a time is negative")
    # 0 would mean "as the connection has it"; the shortest time that is not 0 says "do not wait".
    return min(max(int(seconds * 1e9), 1), 2**63)


def _raise(status: int, error: _Error) -> None:
    if status:
        raise _error(status, _text(error.message), error.os_error)


# ---- images ----


class Info(NamedTuple):
    """What is known of an image."""

    width: int
    height: int
    channels: int
    bits: int
    stride: int
    bytes: int
    format: Optional[str]  # "png", "jpeg", or None
    orientation: int  # as the file says: EXIF 1 to 8, 0 if it says nothing
    scale: int
    from_store: bool
    file_width: int
    file_height: int
    file_channels: int
    file_bits: int
    file_bytes: int
    icc_bytes: int
    gamma: Optional[float]
    chromaticities: Optional[Tuple[float, ...]]  # x and y of white, red, green and blue
    srgb: Optional[int]  # the rendering intent of a PNG's sRGB
    comments: int  # text chunks of a PNG, COM markers of a JPEG
    animated: bool  # an animated PNG: the default image is delivered
    holders: int
    age: float  # seconds since it was decoded
    warning: Optional[str]


def _info(raw: _Info) -> Info:
    chromaticities = tuple(value / 100000 for value in raw.chromaticities)
    return Info(
        width=raw.width,
        height=raw.height,
        channels=raw.channels,
        bits=raw.bits,
        stride=raw.stride,
        bytes=raw.bytes,
        format=_FORMATS.get(raw.format),
        orientation=raw.orientation,
        scale=raw.scale,
        from_store=bool(raw.from_store),
        file_width=raw.file_width,
        file_height=raw.file_height,
        file_channels=raw.file_channels,
        file_bits=raw.file_bits,
        file_bytes=raw.file_bytes,
        icc_bytes=raw.icc_bytes,
        gamma=raw.gamma / 100000 if raw.gamma else None,
        chromaticities=chromaticities if any(chromaticities) else None,
        srgb=raw.srgb - 1 if raw.srgb else None,
        comments=raw.comments,
        animated=bool(raw.animated),
        holders=raw.holders,
        age=raw.age_ns / 1e9,
        warning=_text(raw.warning) or None,
    )


class _Hold:
    """An image of the library, released when nobody refers to this any more."""

    def __init__(self, image: _Image) -> None:
        self.image = image

    def __del__(
        self,
        release: Callable[..., None] = _library.shmsem_release,
        byref: Callable[..., Any] = ctypes.byref,
    ) -> None:
        release(byref(self.image))


class Image:
    """An image: give it to numpy.asarray, or take its view (a memoryview).

    Closing it (the end of a `with`) lets go of this object's own hold; arrays and memoryviews made
    from it before keep theirs.
    """

    info: Info
    icc: Optional[bytes]  # its colour profile
    shape: Tuple[int, int, int]  # height, width, channels
    dtype: str  # "uint8" or "uint16", native byte order

    def __init__(self, image: _Image, copy: bool) -> None:
        hold = _Hold(image)
        self.info = _info(image.info)
        self.icc = ctypes.string_at(image.icc, self.info.icc_bytes) if image.icc else None
        self.shape = (self.info.height, self.info.width, self.info.channels)
        self.dtype = "uint16" if self.info.bits == 16 else "uint8"
        kind = ctypes.c_uint8 * self.info.bytes
        exporter: Any = kind.from_address(image.pixels)
        if copy:
            exporter = kind.from_buffer_copy(exporter)
        else:
            # What is made from the exporter refers to it, and so to the hold.
            exporter.hold = hold
        flat = memoryview(exporter).cast("B")
        self._hold = None if copy else hold
        self._view: Optional[memoryview] = flat if copy else flat.toreadonly()

    @property
    def view(self) -> memoryview:
        """The samples, shaped; writable if the image was fetched with copy=True."""
        view = self._view
        if view is None:
            raise ValueError("the image was closed")
        return view.cast("H" if self.info.bits == 16 else "B", self.shape)

    def __buffer__(self, flags: int) -> memoryview:
        return self.view

    @property
    def __array_interface__(self) -> Dict[str, Any]:
        if self._view is None:
            raise ValueError("the image was closed")
        order = "<" if memoryview(b"\1\0").cast("H")[0] == 1 else ">"
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": order + "u2" if self.info.bits == 16 else "|u1",
            "data": self._view,  # numpy keeps it, not us, for as long as the array lives
        }

    def __dlpack__(self, **options: Any) -> Any:
        """Through numpy; one that cannot say "read-only" in DLPack (before 2.1) refuses what is
        not a copy."""
        import numpy

        return numpy.asarray(self).__dlpack__(**options)

    def __dlpack_device__(self) -> Tuple[int, int]:
        return (1, 0)  # the CPU

    def check(self) -> None:
        """Raises BadDataError if somebody cut the segment off (see connect, guard)."""
        if self._hold is not None:
            error = _Error()
            _raise(
                _library.shmsem_check(ctypes.byref(self._hold.image), ctypes.byref(error)), error
            )

    def close(self) -> None:
        self._view = None
        self._hold = None

    def __enter__(self) -> Image:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        value: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("an image cannot be pickled; send its name, or a copy of its array")

    def __repr__(self) -> str:
        height, width, channels = self.shape
        return f"<shmsem.Image {width}x{height}x{channels} {self.dtype}>"


# ---- connections ----


class Connection:
    """A connection to the server of a namespace; made anew by itself when that was restarted.

    Threads may share one, and take turns. It can be pickled: then the other process connects.
    """

    def __init__(
        self,
        namespace: Optional[str] = None,
        *,
        wait: float = 0,
        timeout: Optional[float] = None,
        guard: bool = False,
    ) -> None:
        self._arguments = (namespace, wait, timeout, guard)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._client: Optional[int] = None
        options = _ConnectOptions(
            name_space=None if namespace is None else _raw(namespace),
            wait_ns=_nanoseconds(wait) if wait else 0,
            timeout_ns=_nanoseconds(timeout),
            flags=_GUARD_SIGBUS if guard else 0,
        )
        client = ctypes.c_void_p()
        error = _Error()
        _raise(
            _library.shmsem_connect(
                ctypes.byref(client), ctypes.byref(options), ctypes.byref(error)
            ),
            error,
        )
        self._client = client.value
        self._close = _library.shmsem_close

    @property
    def namespace(self) -> str:
        return _text(_library.shmsem_namespace(self._live()))

    def _live(self) -> int:
        if self._client is None:
            raise UsageError("the connection was closed")
        # Before the lock, which another thread of the parent may have had when it forked.
        if self._pid != os.getpid():
            raise UsageError("this connection was made before fork(); connect anew in the child")
        return self._client

    def fetch(
        self,
        name: str,
        *,
        scale: int = 1,
        channels: int = 0,
        layout: str = "rgb",
        fit: Tuple[int, int] = (0, 0),
        native_depth: bool = False,
        keep_orientation: bool = False,
        premultiply: bool = False,
        strict: bool = False,
        lenient: bool = False,
        timeout: Optional[float] = None,
        copy: bool = False,
    ) -> Image:
        """Gets an image. `fit` is a width and a height: the largest scale that leaves at least
        that. With copy=True the pixels are the caller's own, and writable."""
        options = locals()
        request = _request(name, options)
        image = _Image()
        error = _Error()
        self._live()
        with self._lock:
            status = _library.shmsem_fetch(
                self._live(), ctypes.byref(request), ctypes.byref(image), ctypes.byref(error)
            )
        _raise(status, error)
        return Image(image, copy)

    def info(
        self,
        name: str,
        *,
        scale: int = 1,
        channels: int = 0,
        layout: str = "rgb",
        fit: Tuple[int, int] = (0, 0),
        native_depth: bool = False,
        keep_orientation: bool = False,
        premultiply: bool = False,
        strict: bool = False,
        lenient: bool = False,
        timeout: Optional[float] = None,
    ) -> Info:
        """What a fetch would give, without decoding."""
        options = locals()
        request = _request(name, options)
        found = _Info()
        error = _Error()
        self._live()
        with self._lock:
            status = _library.shmsem_info(
                self._live(), ctypes.byref(request), ctypes.byref(found), ctypes.byref(error)
            )
        _raise(status, error)
        return _info(found)

    def names(self) -> List[str]:
        """The names of every image file that the server has, in byte order."""
        found: List[bytes] = []
        error = _Error()

        def each(_data: Optional[int], name: bytes) -> int:
            found.append(name)
            return 0

        self._live()
        with self._lock:
            status = _library.shmsem_names(self._live(), _Each(each), None, ctypes.byref(error))
        _raise(status, error)
        return [_text(name) for name in found]

    def ping(self) -> None:
        """Asks the server for nothing."""
        error = _Error()
        self._live()
        with self._lock:
            status = _library.shmsem_ping(self._live(), ctypes.byref(error))
        _raise(status, error)

    def cancel(self) -> None:
        """Ends the wait of the call that another thread is in, or the next call: TryAgainError."""
        _library.shmsem_cancel(self._live())

    def close(self) -> None:
        """Images that were fetched stay valid."""
        if self._pid != os.getpid():
            # The handle is the parent's; another of its threads may have been using it.
            self._client = None
            return
        with self._lock:
            client, self._client = self._client, None
            if client is not None:
                self._close(client)

    def __del__(self) -> None:
        if getattr(self, "_client", None) is not None:
            self.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        value: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        return (_connect_again, self._arguments)


def _connect_again(
    namespace: Optional[str], wait: float, timeout: Optional[float], guard: bool
) -> Connection:
    return Connection(namespace, wait=wait, timeout=timeout, guard=guard)


def _request(name: str, options: Dict[str, Any]) -> _Request:
    layout = options["layout"]
    if layout not in _LAYOUTS:
        raise UsageError(f"the layout is '{layout}'; 'rgb' and 'bgr' are possible")
    for what in ("scale", "channels"):
        if not 0 <= options[what] <= 255:
            raise UsageError(f"{what} is {options[what]}")
    if not all(0 <= side < 2**32 for side in options["fit"]):
        raise UsageError("fit is out of range")
    width, height = options["fit"]
    return _Request(
        name=_raw(name),
        timeout_ns=_nanoseconds(options["timeout"]),
        scale=options["scale"],
        channels=options["channels"],
        layout=_LAYOUTS[layout],
        flags=sum(bit for flag, bit in _REQUEST_FLAGS.items() if options[flag]),
        fit_width=width,
        fit_height=height,
    )


def connect(
    namespace: Optional[str] = None,
    *,
    wait: float = 0,
    timeout: Optional[float] = None,
    guard: bool = False,
) -> Connection:
    """Connects to the server of a namespace ($SHMSEM_NAMESPACE, else "shmsem").

    `wait` for a server to appear and `timeout` of each call (30) are in seconds. `guard` handles
    SIGBUS: where somebody cuts a segment off under an image, reads give zeros, and Image.check()
    says so, instead of the process dying.
    """
    return Connection(namespace, wait=wait, timeout=timeout, guard=guard)


# ---- without a connection ----

_shared: Dict[Tuple[int, str], Connection] = {}
_shared_lock = threading.Lock()


def _renew_lock() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    _shared.clear()


os.register_at_fork(after_in_child=_renew_lock)


def _default(namespace: Optional[str]) -> Connection:
    """The process's own connection to that namespace."""
    if namespace is None:
        namespace = os.environ.get("SHMSEM_NAMESPACE", "shmsem")
    key = (os.getpid(), namespace)
    with _shared_lock:
        if key not in _shared:
            _shared[key] = Connection(namespace)
        return _shared[key]


def fetch(name: str, *, namespace: Optional[str] = None, **options: Any) -> Image:
    """Connection.fetch over a connection that the process keeps for the namespace."""
    return _default(namespace).fetch(name, **options)


def info(name: str, *, namespace: Optional[str] = None, **options: Any) -> Info:
    """Connection.info over a connection that the process keeps for the namespace."""
    return _default(namespace).info(name, **options)


def names(*, namespace: Optional[str] = None) -> List[str]:
    """Connection.names over a connection that the process keeps for the namespace."""
    return _default(namespace).names()


def version() -> str:
    """The library's version."""
    return _text(_library.shmsem_version())


# ---- what the commands do ----


def _run(arguments: Sequence[str], accept: Tuple[int, ...]) -> Any:
    program = os.environ.get("SHMSEM_PROGRAM", "shmsem")
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UnavailableError(f"the program '{program}' is not installed") from None
    if done.returncode not in accept:
        raise _error(done.returncode, done.stderr.strip())
    return json.loads(done.stdout)


def list(
    *, namespace: Optional[str] = None, everyone: bool = False, columns: Sequence[str] = ()
) -> Any:
    """What is in shared memory and who needs it: shmsem list --json, with these columns, too."""
    arguments = ["list", "--json"]
    if columns:
        arguments += ["--output", "+" + ",".join(columns)]
    if namespace is not None:
        arguments += ["--namespace", namespace]
    if everyone:
        arguments.append("--all")
    return _run(arguments, (0,))


def cleanup(*namespaces: str, dry_run: bool = False) -> Any:
    """Removes what dead servers left, and reports: shmsem cleanup --json."""
    arguments = ["cleanup", "--json"]
    if dry_run:
        arguments.append("--dry-run")
    return _run([*arguments, "--", *namespaces], (0, 1))
