"""How the page is served: who may come in, which requests are let through, and what programs can ask."""
