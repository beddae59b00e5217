"""The sections of an experiment file. Each validates its part; a data section also prepares what the trainer needs."""
