"""SignCLIP models: catalog, architecture, checkpoints, tokenization, registry.

Importing this package, its catalog, prompts and tokenization never imports torch, so that a web worker stays light.
"""
