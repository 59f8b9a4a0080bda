"""What gives real and fake away beside the faces: the shortcut score, and the weights that remove it.

In: a scanned dataset. Out: figures, findings in sentences, and weights for training.
May import: ``trainer.data`` and whatever that may import.
"""
