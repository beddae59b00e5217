"""Training of SignCLIP models: experiment files, batches, the contrastive loss and the training loop."""
