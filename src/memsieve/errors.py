"""Every exception that memsieve raises on purpose, grouped by what the caller can do about it.

MemsieveError
├── ParameterError (ValueError)        a value lies outside its stated rule: pass another
├── InputError (ValueError)            what was handed in cannot be read: mend the input
│   ├── DateError                      a date or a time that does not parse
│   └── FormatError                    a file that is not in the format it was opened as
├── NotFoundError (LookupError)        no such item, namespace, file or method
├── StoreError                         the database itself
│   ├── NotAStoreError                 the file is no memsieve database
│   ├── SchemaError                    the file was written by a newer memsieve
│   ├── StoreAccessError               it cannot be opened or written: permissions, folder, disk
│   └── StoreBusyError                 another process held the write lock too long: try again
├── EmbedderMismatchError              the store holds vectors of another embedder
├── EndpointError                      a configured remote endpoint failed
├── AnswerError                        a model answered, and not what was asked for
└── MissingExtraError (ImportError)    an optional dependency is not installed
"""


class MemsieveError(Exception):
    """Base of every error below; its text is one line that names the way out."""


class ParameterError(MemsieveError, ValueError):
    """A value lies outside its stated rule."""


class InputError(MemsieveError, ValueError):
    """Text, a message or a file that cannot be read."""


class DateError(InputError):
    """A date or a time that does not parse."""


class FormatError(InputError):
    """A file that is not in the format it was opened as."""


class NotFoundError(MemsieveError, LookupError):
    """No such item, namespace, file or method."""


class StoreError(MemsieveError):
    """The database cannot do what was asked."""


class NotAStoreError(StoreError):
    """The file exists and is no memsieve database."""


class SchemaError(StoreError):
    """The file was written by a newer memsieve."""


class StoreAccessError(StoreError):
    """The file cannot be opened or written."""


class StoreBusyError(StoreError):
    """Another process held the write lock for longer than the time-out."""


class EmbedderMismatchError(MemsieveError):
    """The store holds vectors of another embedder than the one it was opened with."""


class EndpointError(MemsieveError):
    """A configured remote endpoint failed or answered something else than was asked.

    `charged` holds the tokens read and written that it told all the same; None for untold.
    """

    charged: tuple[int | None, int | None] = (None, None)


class AnswerError(MemsieveError):
    """A model's answer does not fit what was asked for; `written` is that answer, verbatim."""

    written: str = ""


class MissingExtraError(MemsieveError, ImportError):
    """An optional dependency is missing; the message names the install command."""

    @classmethod
    def of(cls, what: str, extra: str) -> "MissingExtraError":
        """The error for feature `what`, which the extra `extra` brings."""
        return cls(f"{what} needs an optional dependency: pip install 'memsieve[{extra}]'")
