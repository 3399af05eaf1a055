# The service of testkit's grpc-echo.ts, by gRPC's own implementation in C: ADDRESS as argument.
import sys
from concurrent import futures

import grpc


def unary(request, context):
    if request == b"fail":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")
    context.set_trailing_metadata((("x-trailer", "behind"), ("x-blob-bin", b"\x00\xff\r\n")))
    said = dict(context.invocation_metadata()).get("x-said", "nothing")
    return request + b" " + said.encode()


def collect(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def count(request, context):
    for number in range(int(request)):
        yield b"%1000d" % number


def chat(requests, context):
    for request in requests:
        yield request.upper()


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", METHODS),))
server.add_insecure_port(sys.argv[1])
server.start()
server.wait_for_termination()
