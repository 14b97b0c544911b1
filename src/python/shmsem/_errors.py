"""What goes wrong, by the exit status that the commands have for it."""


class Error(Exception):
    """What went wrong; `status` is the exit status that the commands have."""

    status = 70

    def __init__(self, message: str, os_error: int = 0) -> None:
        super().__init__(message)
        self.os_error = os_error

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (type(self), (self.args[0], self.os_error))


class UsageError(Error, ValueError):
    """An argument is wrong."""

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


BY_STATUS = {
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
