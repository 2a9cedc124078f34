"""gRPC's own client against grpc_server.py behind a service host.

    grpc_client.py PORT HOST TOKEN [CA]     prints "ok NAME" for each check; TLS where CA is given
"""
import queue
import sys
import threading

import grpc

port, host, token = sys.argv[1:4]
name = host.split(":")[0]
options = [
    ("grpc.default_authority", host),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    # A connection of its own for each channel, so that checks do not share one by chance.
    ("grpc.use_local_subchannel_pool", 1),
]
if len(sys.argv) > 4:
    with open(sys.argv[4], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    options.append(("grpc.ssl_target_name_override", name))
    channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)
else:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)

BEARER = (("authorization", f"Bearer {token}"),)
BOUND = 30


def method(kind, which):
    return getattr(channel, kind)(f"/wharf.Test/{which}")


def raises(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() is code, error
        return error
    raise AssertionError(f"no {code}")


def unary_calls_carry_metadata_and_trailers_both_ways():
    call = method("unary_unary", "Unary")
    metadata = (*BEARER, ("ask", "some words"), ("ask-bin", bytes(range(256))))
    reply, about = call.with_call(b"hello", metadata=metadata, timeout=BOUND)
    assert reply == b"hello"
    early, late = dict(about.initial_metadata()), dict(about.trailing_metadata())
    assert early["early"] == "some words" and early["early-bin"] == b"\x00\xff\x01", early
    assert late["late"] == "some words" and late["late-bin"] == bytes(range(256)), late
    assert about.code() is grpc.StatusCode.OK
    seen = late["seen"]
    assert f"x-forwarded-host={host}" in seen and "x-request-id=req-" in seen, seen
    assert "authorization" not in seen and token not in seen, seen


def statuses_come_with_words_and_details():
    call = method("unary_unary", "Fail")
    for code in ("NOT_FOUND", "INVALID_ARGUMENT", "ABORTED", "DATA_LOSS", "UNAVAILABLE", "UNAUTHENTICATED"):
        words = f"{code} with 100 % of its wörds\nand lines"
        request = f"{code} {words}".encode()
        error = raises(getattr(grpc.StatusCode, code), lambda: call(request, metadata=BEARER, timeout=BOUND))
        assert error.details() == words, error.details()
        assert dict(error.trailing_metadata())["grpc-status-details-bin"] == b"\x08\x05details"
    unknown = method("unary_unary", "NoSuchMethod")
    raises(grpc.StatusCode.UNIMPLEMENTED, lambda: unknown(b"", metadata=BEARER, timeout=BOUND))


def a_stream_of_answers_arrives_message_by_message():
    tick = method("unary_unary", "Tick")
    answers = method("unary_stream", "CountUp")(b"5", metadata=BEARER, timeout=BOUND)
    for number in range(5):
        # The next message is made only now: had anything kept the one before, this would hang.
        tick(b"", metadata=BEARER, timeout=BOUND)
        assert next(answers) == str(number).encode()
    assert list(answers) == [] and answers.code() is grpc.StatusCode.OK


def a_stream_of_requests_is_answered_at_its_end():
    pieces = (bytes([number]) * 1000 * number for number in range(100))
    reply = method("stream_unary", "Total")(pieces, metadata=BEARER, timeout=BOUND)
    assert reply == b"100 4950000", reply
    assert method("stream_unary", "Total")(iter(()), metadata=BEARER, timeout=BOUND) == b"0 0"


def streams_both_ways_go_in_lock_step():
    sent = queue.Queue()
    replies = method("stream_stream", "BothWays")(iter(sent.get, None), metadata=BEARER, timeout=BOUND)
    for number in range(50):
        sent.put(str(number).encode())
        assert next(replies) == str(number).encode()
    sent.put(None)
    assert list(replies) == [] and replies.code() is grpc.StatusCode.OK


def an_answer_may_come_before_the_requests_end():
    endless = threading.Event()

    def requests():
        yield b"first"
        endless.wait(BOUND)
    call = method("stream_unary", "EarlyEnd")
    try:
        error = raises(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: call(requests(), metadata=BEARER, timeout=BOUND))
        assert error.details() == "enough"
    finally:
        endless.set()


def deadlines_reach_the_server_and_hold():
    call = method("unary_unary", "Remaining")
    left = float(call(b"", metadata=BEARER, timeout=7))
    assert 3 < left < 7.5, left
    late = method("unary_stream", "UntilCancelled")
    raises(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(late(b"x", metadata=BEARER, timeout=0.7)))
    assert method("unary_unary", "WasCancelled")(b"20", metadata=BEARER, timeout=BOUND) == b"yes"


def a_cancelled_call_is_cancelled_at_the_server():
    answers = method("unary_stream", "UntilCancelled")(b"x", metadata=BEARER, timeout=BOUND)
    assert next(answers) == b"x"
    answers.cancel()
    assert answers.code() is grpc.StatusCode.CANCELLED
    assert method("unary_unary", "WasCancelled")(b"20", metadata=BEARER, timeout=BOUND) == b"yes"


def messages_of_four_mebibytes_pass_whole():
    block = bytes(range(256)) * (4 << 20 >> 8)
    call = method("unary_unary", "Unary")
    for _ in range(3):
        assert call(block, metadata=BEARER, timeout=BOUND) == block
    replies = method("stream_stream", "BothWays")(iter([block] * 4), metadata=BEARER, timeout=BOUND)
    assert all(reply == block for reply in replies)
    assert replies.code() is grpc.StatusCode.OK


def a_hundred_streams_live_side_by_side():
    calls = []
    for number in range(100):
        sent = queue.Queue()
        replies = method("stream_stream", "BothWays")(iter(sent.get, None), metadata=BEARER, timeout=BOUND)
        calls.append((number, sent, replies))
    for turn in range(3):
        for number, sent, _ in calls:
            sent.put(f"{number} {turn}".encode())
        for number, _, replies in reversed(calls):
            assert next(replies) == f"{number} {turn}".encode()
    for _, sent, replies in calls:
        sent.put(None)
        assert list(replies) == [] and replies.code() is grpc.StatusCode.OK


def the_gate_speaks_grpc():
    call = method("unary_unary", "Unary")
    nobody = raises(grpc.StatusCode.UNAUTHENTICATED, lambda: call(b"", timeout=BOUND))
    assert "private" in nobody.details(), nobody.details()
    wrong = (("authorization", f"Bearer {token[:-4]}xxxx"),)
    raises(grpc.StatusCode.PERMISSION_DENIED, lambda: call(b"", metadata=wrong, timeout=BOUND))
    streams = method("stream_stream", "BothWays")
    raises(grpc.StatusCode.UNAUTHENTICATED, lambda: list(streams(iter([b""]), timeout=BOUND)))


CHECKS = (
    unary_calls_carry_metadata_and_trailers_both_ways,
    statuses_come_with_words_and_details,
    a_stream_of_answers_arrives_message_by_message,
    a_stream_of_requests_is_answered_at_its_end,
    streams_both_ways_go_in_lock_step,
    an_answer_may_come_before_the_requests_end,
    deadlines_reach_the_server_and_hold,
    a_cancelled_call_is_cancelled_at_the_server,
    messages_of_four_mebibytes_pass_whole,
    a_hundred_streams_live_side_by_side,
    the_gate_speaks_grpc,
)
for check in CHECKS:
    check()
    print(f"ok {check.__name__}", flush=True)
print(f"{len(CHECKS)} checks passed")
