"""Protobuf message classes for the few fields of an ONNX file (onnx.proto) that are used, without the package onnx.

Protobuf keeps unknown fields unchanged.
"""

from collections.abc import Iterable
from typing import Any, Literal

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Message, field, number, type ("int", "bytes", or a message of the same table), repeated.
Field = tuple[str, str, int, str, bool]


def message_classes(package: Literal["sizes", "model"], fields: Iterable[Field]) -> dict[str, Any]:
    """Build the message classes of a table, keyed by message name.

    Args:
        package: protobuf package name of the classes.
        fields: the rows of the table.
    """
    descriptor = descriptor_pb2.FieldDescriptorProto
    scalars = {"int": descriptor.TYPE_INT64, "bytes": descriptor.TYPE_BYTES}
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    by_name: dict[str, Any] = {}
    for message, name, number, kind, repeated in fields:
        if message not in by_name:
            by_name[message] = file.message_type.add(name=message)
        by_name[message].field.add(
            name=name,
            number=number,
            label=descriptor.LABEL_REPEATED if repeated else descriptor.LABEL_OPTIONAL,
            type=scalars.get(kind, descriptor.TYPE_MESSAGE),
            type_name=None if kind in scalars else f".{package}.{kind}",
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in by_name}
