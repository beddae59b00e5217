"""Training on clips of a corpus: sampling, batches and augmentation."""
