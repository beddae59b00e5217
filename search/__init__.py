"""Scores and ranks vectors. Functions take arrays and return ids; nothing here knows models or HTTP."""
