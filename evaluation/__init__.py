"""How good a model is: retrieval metrics, baselines and robustness."""
