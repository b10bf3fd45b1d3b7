"""Everything that can go wrong, as one tree; each message is one line: what happened, to what, what to do.

    RagError                 exit code 1 unless said otherwise
    |- InvalidValue          a value that breaks an invariant; also a ValueError
    |- SettingsError         an unknown or impossible setting (exit code 2)
    |- UsageError            arguments that make no sense together (exit code 2)
    |- DocumentError         one input file or folder; the rest of the batch goes on
    |  |- MissingPath        nothing is there
    |  |- EmptyFolder        a folder without a document that can be read
    |  |- UnreadableFile     the system refuses to read it
    |  |- UnsupportedFormat  no loader for this kind of file
    |  |- UndecodableText    bytes that are no text in any encoding that could be told
    |  |- EmptyDocument      nothing but white space, or nothing left after cleaning
    |  |- FileTooLarge       above the limit, which is a setting
    |  `- SourceTaken        another folder's document has this name in the index
    |- IndexUnusable         the index as a whole
    |  |- IndexMissing       nothing has been ingested there
    |  |- IndexMismatch      built with other settings
    |  |- IndexLocked        another writer is at work
    |  |- IndexDamaged       files missing or not readable as what they should be
    |  `- StorageFull        no space left; the index is as it was
    |- ModelUnavailable      model files missing, or not the bytes they should be
    |- ModelFailed           a language model that gave no answer, or not all of it
    `- PortInUse             the page or a model server cannot bind

Third-party exceptions are translated where the third party is called, with ``from``.
"""

from pathlib import Path


class RagError(Exception):
    """Root of all errors that a caller is meant to handle; ``str(error)`` is the line for the user."""

    exit_code = 1


class InvalidValue(RagError, ValueError):
    """A value that breaks an invariant of ``rag.values``."""


class SettingsError(RagError):
    """A setting that is unknown, misspelt or out of range."""

    exit_code = 2


class UsageError(RagError):
    """Arguments that make no sense, alone or together."""

    exit_code = 2


class DocumentError(RagError):
    """One input that cannot be ingested."""

    def __init__(self, path: Path | str, problem: str) -> None:
        self.path = Path(path)
        super().__init__(f"{path}: {problem}")


class MissingPath(DocumentError):
    """The path names nothing."""


class EmptyFolder(DocumentError):
    """The folder holds no document of a known format."""


class UnreadableFile(DocumentError):
    """The operating system refuses to read the file."""


class UnsupportedFormat(DocumentError):
    """No loader is registered for this kind of file."""


class UndecodableText(DocumentError):
    """The bytes are not text in any encoding that could be told."""


class EmptyDocument(DocumentError):
    """No text, or none left after cleaning."""


class FileTooLarge(DocumentError):
    """The file is above ``max_file_mb``."""


class SourceTaken(DocumentError):
    """A document of the same relative name, from another folder, is in the index."""


class IndexUnusable(RagError):
    """The index as a whole cannot be used."""


class IndexMissing(IndexUnusable):
    """No index, or an empty one."""


class IndexMismatch(IndexUnusable):
    """The index was built with settings that shape its vectors differently."""


class IndexLocked(IndexUnusable):
    """Another process is writing."""


class IndexDamaged(IndexUnusable):
    """A file of the index is missing or is not what it should be."""


class StorageFull(IndexUnusable):
    """The disk is full; the last committed state stays."""


class ModelUnavailable(RagError):
    """Model files are missing, or their hash is not the expected one."""


class ModelFailed(RagError):
    """The configured language model gave no answer, or broke off in the middle of one."""


class PortInUse(RagError):
    """Another program listens where this one wants to."""
