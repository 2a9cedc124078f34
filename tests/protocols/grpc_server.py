"""A gRPC server on 127.0.0.1:50051 that shows what reaches it. Messages are plain bytes, so no schema is needed."""
import threading
from concurrent import futures

import grpc

cancelled = threading.Semaphore(0)
ticks = threading.Semaphore(0)


def unary(request, context):
    """Sends back the message, with what was asked for as metadata, and the caller's own as text."""
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("early", metadata.get("ask", "")), ("early-bin", b"\x00\xff\x01")))
    seen = " ".join(sorted(f"{key}={value}" for key, value in metadata.items() if isinstance(value, str)))
    context.set_trailing_metadata((("late", metadata.get("ask", "")), ("late-bin", metadata.get("ask-bin", b"")), ("seen", seen)))
    return request


def fail(request, context):
    """The status that the message names, with words and details."""
    code, words = request.decode().split(" ", 1)
    context.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x05details"),))
    context.abort(getattr(grpc.StatusCode, code), words)


def remaining(_request, context):
    """The seconds left until the caller's deadline."""
    return str(context.time_remaining()).encode()


def count_up(request, context):
    """As many messages as asked for, each after a tick."""
    for number in range(int(request)):
        ticks.acquire()
        yield str(number).encode()


def tick(request, _context):
    ticks.release()
    return request


def total(requests, _context):
    """The number of messages and their bytes."""
    sizes = [len(request) for request in requests]
    return f"{len(sizes)} {sum(sizes)}".encode()


def both_ways(requests, _context):
    for request in requests:
        yield request


def early_end(requests, context):
    """Answers after the first message and reads no further."""
    first = next(requests)
    context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
    context.set_details("enough")
    return first


def until_cancelled(request, context):
    context.add_callback(cancelled.release)
    yield request
    threading.Event().wait(60)


def was_cancelled(request, _context):
    return b"yes" if cancelled.acquire(timeout=float(request)) else b"no"


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Remaining": grpc.unary_unary_rpc_method_handler(remaining),
    "CountUp": grpc.unary_stream_rpc_method_handler(count_up),
    "Tick": grpc.unary_unary_rpc_method_handler(tick),
    "Total": grpc.stream_unary_rpc_method_handler(total),
    "BothWays": grpc.stream_stream_rpc_method_handler(both_ways),
    "EarlyEnd": grpc.stream_unary_rpc_method_handler(early_end),
    "UntilCancelled": grpc.unary_stream_rpc_method_handler(until_cancelled),
    "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
}

options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]
server = grpc.server(futures.ThreadPoolExecutor(max_workers=150), options=options)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("wharf.Test", METHODS),))
server.add_insecure_port("127.0.0.1:50051")
server.start()
server.wait_for_termination()
