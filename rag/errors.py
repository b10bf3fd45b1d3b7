"""All errors, in one tree. Each message is a single line: what happened, to what, and what to do about it.

    RagError                 exit code 1 unless said otherwise
    |- InvalidValue          a value that breaks an invariant; also a ValueError
    |- SettingsError         an unknown or impossible setting (exit code 2)
    |- UsageError            arguments that make no sense together (exit code 2)
    |- DocumentError         one input file or folder; the rest of the batch goes on
    |  |- MissingPath        the path does not exist
    |  |- EmptyFolder        a folder without a document of a known format
    |  |- UnreadableFile     the operating system refuses to read the file
    |  |- UnsupportedFormat  no loader for this kind of file
    |  |- UndecodableText    the bytes are not text in any encoding that could be detected
    |  |- EmptyDocument      only white space, or nothing left after cleaning
    |  |- FileTooLarge       above the ``max_file_mb`` setting
    |  `- SourceTaken        a document from another folder has this name in the index
    |- IndexUnusable         the index as a whole
    |  |- IndexMissing       nothing has been ingested there
    |  |- IndexMismatch      built with other settings
    |  |- IndexLocked        another process is writing
    |  |- IndexDamaged       files missing or corrupt
    |  `- StorageFull        no space left; the index is unchanged
    |- ModelUnavailable      model files missing, or with the wrong hash
    |- ModelFailed           a language model that gave no answer or only part of one
    `- PortInUse             the page or a model server cannot bind

Third-party exceptions are translated at the call site, with ``raise … from``.
"""

from pathlib import Path


class RagError(Exception):
    """Base class of all errors that a caller is meant to handle; ``str(error)`` is the line to show the user."""

    exit_code = 1


class InvalidValue(RagError, ValueError):
    """A value that breaks an invariant of ``rag.values``."""


class SettingsError(RagError):
    """A setting that is unknown, misspelt or out of range."""

    exit_code = 2


class UsageError(RagError):
    """Arguments that make no sense, on their own or together."""

    exit_code = 2


class DocumentError(RagError):
    """One input that cannot be ingested."""

    def __init__(self, path: Path | str, problem: str) -> None:
        self.path = Path(path)
        super().__init__(f"{path}: {problem}")


class MissingPath(DocumentError):
    """The path does not exist."""


class EmptyFolder(DocumentError):
    """The folder holds no document of a known format."""


class UnreadableFile(DocumentError):
    """The operating system refuses to read the file."""


class UnsupportedFormat(DocumentError):
    """No loader is registered for this kind of file."""


class UndecodableText(DocumentError):
    """The bytes are not text in any encoding that could be detected."""


class EmptyDocument(DocumentError):
    """The document has no text, or none left after cleaning."""


class FileTooLarge(DocumentError):
    """The file is above ``max_file_mb``."""


class SourceTaken(DocumentError):
    """A document with the same relative name from another folder is already in the index."""


class IndexUnusable(RagError):
    """The index as a whole cannot be used."""


class IndexMissing(IndexUnusable):
    """There is no index, or it is empty."""


class IndexMismatch(IndexUnusable):
    """The index was built with settings that shape its vectors differently."""


class IndexLocked(IndexUnusable):
    """Another process is writing."""


class IndexDamaged(IndexUnusable):
    """A file of the index is missing or corrupt."""


class StorageFull(IndexUnusable):
    """The disk is full; the last committed state is unchanged."""


class ModelUnavailable(RagError):
    """Model files are missing, or their hash is not the expected one."""


class ModelFailed(RagError):
    """The configured language model gave no answer, or broke off in the middle of one."""


class PortInUse(RagError):
    """Another program is already listening on the address."""
