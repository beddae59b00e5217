"""Blueprints: one file for each group of routes. A route reads a request, calls functions below it and answers."""
