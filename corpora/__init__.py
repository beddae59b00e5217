"""Data sets in the form they are published in, as examples with one meaning and features read once."""
