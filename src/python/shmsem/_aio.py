"""Images in an event loop: no call waits in the loop's thread, and none needs a thread of its own."""

import asyncio
import inspect
import itertools
import os

from shmsem._errors import UsageError
from shmsem._shmsem import Connection, Queue
from shmsem._shmsem import _stack as stack
from shmsem._shmsem import _unconnected as unconnected


class AsyncConnection:
    """A connection to the server of a namespace, for asyncio.

    `threads` images are decoded at a time. The other options are those of Connection. A task that
    is cancelled leaves nothing held.
    """

    def __init__(
        self, namespace=None, *, threads=None, wait=0, timeout=None, guard=False, server_user=None
    ):
        if threads is None:
            threads = min(os.cpu_count() or 1, 16)
        self._options = (namespace, wait, timeout, guard, server_user, threads)
        self._closed = False
        self._queue = None
        self._ahead = None
        self._pid = None
        self._loop = None
        self._waiting = {}
        self._tags = itertools.count()

    def _check_open(self):
        if self._closed:
            raise UsageError("the connection was closed")

    def _open(self):
        self._check_open()
        loop = asyncio.get_running_loop()
        if self._pid != os.getpid():
            self._queue = None
        if self._queue is not None and loop is not self._loop:
            self._close_queue()
        if self._queue is None:
            self._queue = Queue(*self._options)
            self._loop = loop
            self._pid = os.getpid()
            self._waiting = {}
            loop.add_reader(self._queue.fileno(), self._collect)
        return self._queue

    def _collect(self):
        while (pair := self._queue.collect()) is not None:
            tag, result = pair
            future = self._waiting.pop(tag, None)
            if future is None or future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _submit(self, name, options):
        queue = self._open()
        tag = next(self._tags)
        queue.submit(tag, name, **options)
        future = self._loop.create_future()
        self._waiting[tag] = future
        return future

    async def fetch(self, name, /, **options):
        """As Connection.fetch."""
        return await self._submit(name, options)

    async def fetch_many(self, names, /, *, on_error="raise", **options):
        """As Connection.fetch_many."""
        if isinstance(names, (str, bytes)) or on_error not in ("raise", "return"):
            raise UsageError("a list of names is wanted, and on_error='raise' or 'return'")
        futures = [self._submit(name, options) for name in names]
        try:
            return await asyncio.gather(*futures, return_exceptions=on_error == "return")
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    async def fetch_batch(self, names, /, *, out=None, **options):
        """As Connection.fetch_batch."""
        images = await self.fetch_many(names, **options)
        return stack(images, out)

    async def prefetch(self, names, /, **options):
        """As Connection.prefetch."""
        self._check_open()
        if self._ahead is None:
            self._ahead = unconnected(*self._options[:5])
        self._ahead.prefetch(names, **options)

    def _close_queue(self):
        if self._queue is None:
            return
        queue, self._queue = self._queue, None
        if self._pid == os.getpid():
            if not self._loop.is_closed():
                self._loop.remove_reader(queue.fileno())
            queue.close()
            for future in self._waiting.values():
                if not self._loop.is_closed():
                    future.cancel()
        self._waiting = {}

    def close(self):
        """Ends what is under way. Images that were fetched stay valid."""
        self._closed = True
        self._close_queue()
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        self.close()


for _method in ("fetch", "fetch_many", "fetch_batch", "prefetch"):
    getattr(AsyncConnection, _method).__signature__ = inspect.signature(
        getattr(Connection, _method)
    )
