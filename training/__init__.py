"""Data sets, augmentations, the contrastive loss and the loop that trains SignCLIP."""
