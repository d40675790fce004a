"""Exceptions whose messages are shown to users.

    UserError            something the caller can fix; the message is one plain sentence
      NotFoundError      a path, id or name that does not exist
      TooLargeError      an input above a limit
      ForbiddenError     an action the caller has no right to
      MismatchError      two artefacts that do not belong together, such as index and encoder
      UnavailableError   something that the program needs and cannot use at present

The command line prints ``error: <text>`` and exits with 1; HTTP answers a problem document with the
same text: a 503 with ``Retry-After`` to an UnavailableError, a 4xx to the others. Any other
exception is a bug and keeps its traceback.

A message says what is wrong, with which value, and what to do about it.
"""


class UserError(Exception):
    """Invalid input, or a situation that the user can fix; ``str(error)`` is shown unchanged."""


class NotFoundError(UserError):
    """A path, id or name that does not exist."""


class TooLargeError(UserError):
    """An input above a limit that protects the machine."""


class MismatchError(UserError):
    """Two artefacts that were not made for each other."""


class UnavailableError(UserError):
    """Something that the program needs cannot be used at present; the same request may succeed
    later."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        """``retry_after``: seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class ForbiddenError(UserError):
    """An action on something that belongs to another caller."""


def first_line(error: Exception) -> str:
    """The message of an error from a library, cut to fit into one of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
