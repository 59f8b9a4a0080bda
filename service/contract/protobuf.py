"""Protobuf: classes for the few fields of an ONNX file (onnx.proto) that are looked at, without the package onnx.

Protobuf keeps the fields that it does not know as they are.
"""

from collections.abc import Iterable
from typing import Any, Literal

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Message, field, number, type ("int", "bytes", or a message of the same table), and whether it is repeated.
Field = tuple[str, str, int, str, bool]


def message_classes(package: Literal["sizes", "model"], fields: Iterable[Field]) -> dict[str, Any]:
    """Return message classes by their names in ``fields``.

    Args:
        package: a name for the set.
        fields: the rows of the table.
    """
    field = descriptor_pb2.FieldDescriptorProto
    scalars = {"int": field.TYPE_INT64, "bytes": field.TYPE_BYTES}
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    by_name: dict[str, Any] = {}
    for message, name, number, kind, repeated in fields:
        if message not in by_name:
            by_name[message] = file.message_type.add(name=message)
        by_name[message].field.add(
            name=name,
            number=number,
            label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL,
            type=scalars.get(kind, field.TYPE_MESSAGE),
            type_name=None if kind in scalars else f".{package}.{kind}",
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in by_name}
