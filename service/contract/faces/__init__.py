"""Find the faces of a picture, and choose the squares of it that the model is shown.

In: a decoded picture and the model's preprocessing. Out: faces, largest first, and the boxes to cut out.
May import: ``service.contract.image``, ``service.contract.spec`` and the protobuf helper.
"""
