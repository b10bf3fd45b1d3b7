"""Footnote in LlamaIndex: a retriever whose nodes state their document and character offsets.

    from rag.integrations.llama_index import FootnoteRetriever
    nodes = FootnoteRetriever(Rag(Settings())).retrieve("When did they meet?")

For programs built on LlamaIndex (query engines, agents, its evaluators). Checked answers come from ``Rag.ask``, not
from here. LlamaIndex is imported only here and in ``rag.writing.language_model``.
"""

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from rag.engine import Rag
from rag.values import Document, Hit


class FootnoteRetriever(BaseRetriever):
    """Retrieves passages as LlamaIndex nodes, best first; scores come from reciprocal rank fusion and are not cosines.

    A node has the id of its passage; ``start_char_idx`` and ``end_char_idx`` are half-open offsets in the document's
    text. Metadata: source, title, and publisher and date if known; shown to a model, never embedded.
    """

    def __init__(self, rag: Rag, *, top_k: int | None = None) -> None:
        super().__init__()
        self._rag = rag
        self._top_k = top_k

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._rag.search(query_bundle.query_str, top_k=self._top_k)
        documents = {doc_id: self._rag.document(doc_id) for doc_id in {hit.passage.doc_id for hit in hits}}
        return [NodeWithScore(node=_node(hit, documents[hit.passage.doc_id]), score=hit.score) for hit in hits]


def _node(hit: Hit, document: Document) -> TextNode:
    about = {
        "source": document.source,
        "title": document.title,
        "publisher": document.publisher,
        "date": document.date.isoformat() if document.date else None,
    }
    return TextNode(
        id_=hit.passage.id,
        text=hit.passage.text,
        start_char_idx=hit.passage.span.start,
        end_char_idx=hit.passage.span.end,
        metadata={name: value for name, value in about.items() if value},
        excluded_embed_metadata_keys=list(about),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document.id)},
    )
