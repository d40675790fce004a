"""Exceptions whose messages are shown to users.

    UserError            something the caller can fix; the message is one plain sentence
      NotFoundError      a path, id or name that does not exist
      TooLargeError      an input above a limit
      ForbiddenError     an action the caller has no right to
      MismatchError      two artefacts that do not belong together, such as index and encoder

The command line prints ``error: <text>`` and exits with 1; HTTP answers a 4xx problem document
with the same text. Any other exception is a bug and keeps its traceback.

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


class ForbiddenError(UserError):
    """An action on something that belongs to another caller."""
