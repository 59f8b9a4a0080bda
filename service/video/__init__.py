"""Video: sampled frames to faces that are followed, and from their verdicts to one on each person."""
