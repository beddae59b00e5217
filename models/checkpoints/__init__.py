"""Checkpoints: where they lie, how files from outside are read safely, and how weights are loaded."""
