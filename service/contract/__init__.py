"""What trainer and service must agree on: the model's metadata, the image path and the verdict.

Needs numpy and Pillow only, so that the heavy trainer may depend on it and it on nothing heavy.
"""
