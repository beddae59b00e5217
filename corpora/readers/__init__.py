"""Readers: one file for each data set, and for the tables and files that they share."""
