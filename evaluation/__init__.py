"""How good a model is: retrieval metrics, probes of frozen embeddings, tables and plots."""
