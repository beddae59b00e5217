"""Ranking and scoring of vectors: arrays in, ids out; no models and no HTTP."""
