"""Hostile inputs: how they are made, and what they are sent to."""
