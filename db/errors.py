"""Errors meant for a person.

    UserError            something the caller can mend; its text is one plain sentence
      NotFoundError      the thing named does not exist
      TooLargeError      an input above a stated limit
      ForbiddenError     what belongs to somebody else
      MismatchError      two things that do not belong together (index and encoder, say)

The command line prints ``error: <text>`` and exits with 1; HTTP answers a 4xx problem document
with the same text. Anything else that is raised is a defect and keeps its traceback.

The text says what is wrong, with which value, and what to do about it.
"""


class UserError(Exception):
    """What a person did, or was given, that cannot work; ``str(error)`` is shown as it stands."""


class NotFoundError(UserError):
    """A path, id or name that points to nothing."""


class TooLargeError(UserError):
    """An input above a limit that protects the machine."""


class MismatchError(UserError):
    """Two artefacts that were not made for each other."""


class ForbiddenError(UserError):
    """What the caller may not do to what belongs to somebody else."""
