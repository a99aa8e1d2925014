"""Calls Many of the service of tests with nothing but reflection, as a stranger would.

usage: stream.py ADDRESS COMPRESSION; prints each message's text, then the code, the sentence and
whether the details have the reason. COMPRESSION is NoCompression, Deflate or Gzip.
"""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

address, compression = sys.argv[1:3]
channel = grpc.insecure_channel(address, compression=grpc.Compression[compression])
pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
note = GetMessageClass(pool.FindMessageTypeByName("test.v1.Note"))
many = channel.unary_stream(
    "/test.v1.Notes/Many",
    request_serializer=note.SerializeToString,
    response_deserializer=note.FromString,
)
try:
    for message in many(note(text="x" * 1000), timeout=10):
        print(message.text)
except grpc.RpcError as error:
    print(error.code().name)
    print(error.details())
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    print("with its reason" if b"TORN" in details else details)
