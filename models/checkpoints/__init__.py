"""Checkpoints: finding their folders, reading files that nobody trusts yet, and loading the weights."""
