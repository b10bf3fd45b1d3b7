import asyncio
from concurrent.futures import ThreadPoolExecutor

from llama_index.core.schema import NodeRelationship

from rag import Rag
from rag.integrations.llama_index import FootnoteRetriever


def test_nodes_are_exact_characters_of_their_documents(seeds: Rag):
    documents = {entry.document.id: entry.document for entry in seeds.documents()}
    nodes = FootnoteRetriever(seeds, top_k=5).retrieve("Who won the early presidential election?")
    assert len(nodes) == 5
    for found in nodes:
        document = documents[found.node.relationships[NodeRelationship.SOURCE].node_id]
        assert document.text[found.node.start_char_idx : found.node.end_char_idx] == found.node.text
        assert found.node.metadata["source"] == document.source


def test_nodes_are_the_hits_of_a_search_in_their_order(seeds: Rag):
    question = "Why does Nazarbayev fly to Moscow every year?"
    hits = seeds.search(question, top_k=7)
    retrieving = FootnoteRetriever(seeds, top_k=7).aretrieve(question)
    with ThreadPoolExecutor(1) as elsewhere:  # a browser of other tests keeps a loop running in this thread
        nodes = elsewhere.submit(asyncio.run, retrieving).result()
    assert [(node.node.node_id, node.score) for node in nodes] == [(hit.passage.id, hit.score) for hit in hits]


def test_a_text_without_words_retrieves_nothing(seeds: Rag):
    assert FootnoteRetriever(seeds).retrieve("?!") == []
