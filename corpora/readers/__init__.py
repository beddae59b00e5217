"""The readers of data sets, one file a data set, and what they share to read tables and to find files."""
