"""Calls the catalogue through the gateway with nothing but reflection, as a stranger would.

usage: client.py ADDRESS AUTHORITY; prints the product's name.
"""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

address, authority = sys.argv[1:3]
channel = grpc.insecure_channel(address, options=[("grpc.default_authority", authority)])
pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
service = pool.FindServiceByName("tandem.cases.catalogue.v1.Catalogue")


def call(rpc, /, **fields):
    method = service.FindMethodByName(rpc)
    request = GetMessageClass(method.input_type)
    answer = GetMessageClass(method.output_type)
    stub = channel.unary_unary(
        f"/{service.full_name}/{rpc}",
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )
    return stub(request(**fields), timeout=10)


made = call(
    "CreateProduct",
    product_id="python",
    product={"display_name": "By Python", "price": {"currency_code": "EUR", "units": 1}},
)
print(call("GetProduct", name=made.name).name)
try:
    call("GetProduct", name="products/none")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.NOT_FOUND, error
    trailers = dict(error.trailing_metadata())
    assert b"UNKNOWN_PRODUCT" in trailers["grpc-status-details-bin"], trailers
else:
    raise AssertionError("a product that is not there was found")
