"""The sections of an experiment file: each one validates its part and builds what the trainer needs."""
