"""Training on the clips of data sets: sampling, batches and augmentation."""
