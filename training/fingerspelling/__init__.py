"""The recipe of the shipped fingerspelling model: the letters of the lexicon, described by the geometry of hands."""
