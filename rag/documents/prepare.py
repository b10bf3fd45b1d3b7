"""Prepare files for indexing: load, clean, describe and split."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rag.config import Settings
from rag.documents.clean import DEFAULT_RULES, Rules, exclusions, load_rules
from rag.documents.describe import describe
from rag.documents.files import FoundFile, find_documents
from rag.documents.formats import READING
from rag.documents.load import LoadedText, load
from rag.documents.sources import Sources, read_sources
from rag.documents.split import split
from rag.errors import DocumentError, EmptyDocument
from rag.text.tokens import Limit, token_limit
from rag.values import Document, Exclusion, Passage

SPLITTER = 1  # bump when the same text would be split differently, to split documents again


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be indexed."""

    document: Document
    root: str
    recipe: str
    excluded: tuple[Exclusion, ...]
    passages: tuple[Passage, ...]


@dataclass(slots=True)
class Preparer:
    """Turns found files into prepared documents; reads each folder's ``sources.toml`` once.

    encoder_limit: returns how much text the encoder reads; called for the first document.
    """

    settings: Settings
    encoder_limit: Callable[[], Limit]
    rules: Rules = field(default_factory=load_rules)
    _sources: dict[Path, Sources] = field(default_factory=dict)
    _limits: tuple[Limit, ...] = ()

    def load(self, found: FoundFile) -> tuple[LoadedText, str]:
        """Return the text and its recipe: a hash of everything that affects its passages and metadata."""
        loaded = load(found, max_bytes=self.settings.max_file_mb * 1024 * 1024)
        overrides = self._sources_of(found.root).of(found.source)
        parts = [
            str(SPLITTER),
            DEFAULT_RULES.read_text(encoding="utf-8"),
            repr(overrides),
            repr(self.settings.shaping()),
            *([] if loaded.is_plain else [str(READING)]),
        ]
        return loaded, hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def prepare(self, found: FoundFile, loaded: LoadedText, recipe: str) -> Prepared:
        """Clean, describe and split; raises EmptyDocument if cleaning leaves nothing."""
        excluded = exclusions(loaded.text, self.rules)
        overrides = self._sources_of(found.root).of(found.source)
        about = describe(loaded.text, found.source, excluded, overrides, loaded.stated, roles=self.rules.roles)
        document = Document(
            id=Document.id_for(found.source, loaded.text),
            source=found.source,
            title=about.title,
            publisher=about.publisher,
            author=about.author,
            date=about.date,
            text=loaded.text,
            sha256=loaded.sha256,
            language=about.language,
            inferred=about.inferred,
        )
        passages = split(
            document, excluded, limits=self._limits_at_hand(), overlap_sentences=self.settings.overlap_sentences
        )
        if not any(passage.sentences for passage in passages):
            raise EmptyDocument(
                found.path, "nothing is left of it after cleaning; rag ingest --dry-run shows the rules"
            )
        return Prepared(document, str(found.root), recipe, excluded, passages)

    def _sources_of(self, root: Path) -> Sources:
        if root not in self._sources:
            self._sources[root] = read_sources(root)
        return self._sources[root]

    def _limits_at_hand(self) -> tuple[Limit, ...]:
        if not self._limits:
            self._limits = (token_limit(self.settings.max_passage_tokens), self.encoder_limit())
        return self._limits


def preview(paths: Sequence[Path], preparer: Preparer) -> Iterator[Prepared | DocumentError]:
    """Yield what ingest would index, document by document, without touching an index."""
    files, errors = find_documents(absolute(paths))
    yield from errors
    for found in files:
        try:
            yield preparer.prepare(found, *preparer.load(found))
        except DocumentError as error:
            yield error


def absolute(paths: Sequence[Path]) -> list[Path]:
    """Return the paths as the index stores them, so that a folder is the same root however it is named."""
    return [Path(os.path.realpath(path)) for path in paths]  # Path.resolve raises on a link loop
