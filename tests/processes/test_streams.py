"""Messages over a socket: they arrive whole and in order, however the bytes are cut, and a send never waits."""

import socket
import struct
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processes.errors import MessageError
from processes.streams import MessageStream

# Around the sizes at which a message is joined, read at once, and read into memory of its own.
sizes = st.sampled_from([0, 1, 7, 8, 9, 100, 16_000, 16_384, 262_100, 262_144, 300_000])
messages_of_sizes = st.lists(st.lists(sizes, max_size=4), min_size=1, max_size=6)


def make_pair() -> tuple[MessageStream, MessageStream]:
    left, right = socket.socketpair()
    return MessageStream(left), MessageStream(right)


def fill(size: int, seed: int) -> bytes:
    return bytes([seed % 251]) * size


@settings(max_examples=40, deadline=None)
@given(messages_of_sizes)
def test_messages_arrive_whole_and_in_order(all_sizes: list[list[int]]) -> None:
    sender, receiver = make_pair()
    sent = [[fill(size, number + place) for place, size in enumerate(row)] for number, row in enumerate(all_sizes)]
    received: list[list[bytes]] = []
    for frames in sent:
        sender.send(frames)
    while len(received) < len(sent):
        sender.flush()
        came, is_there = receiver.receive()
        assert is_there
        received += [[bytes(frame) for frame in frames] for frames in came]
    assert received == sent
    sender.close()
    assert receiver.receive() == ([], False)
    receiver.close()


@settings(max_examples=40, deadline=None)
@given(messages_of_sizes, st.lists(st.integers(1, 300_000), min_size=1, max_size=8))
def test_messages_arrive_whatever_pieces_they_come_in(all_sizes: list[list[int]], pieces: list[int]) -> None:
    recorder, record = make_pair()
    raw = bytearray()
    sent = [[fill(size, number) for size in row] for number, row in enumerate(all_sizes)]
    for frames in sent:
        done = recorder.send(frames)
        while True:
            with_bytes = drain(record)
            raw += with_bytes
            if done and not with_bytes:
                break
            done = recorder.flush()
    left, right = socket.socketpair()
    left.setblocking(False)
    receiver, received, turn = MessageStream(right), [], 0
    while raw:
        try:
            count = left.send(raw[: pieces[turn % len(pieces)]])
        except BlockingIOError:
            count = 0
        del raw[:count]
        turn += 1
        received += [[bytes(frame) for frame in frames] for frames in receiver.receive()[0]]
    assert received == sent
    for end in (left, receiver, recorder, record):
        end.close()


def drain(stream: MessageStream) -> bytes:
    try:
        return stream._socket.recv(2**20)
    except BlockingIOError:
        return b""


def test_a_send_returns_although_nobody_reads_and_nothing_is_lost() -> None:
    sender, receiver = make_pair()
    while sender.send([fill(100_000, 1)]):
        pass
    assert sender.has_unsent
    assert not sender.send([b"last"])
    received: list[bytes] = []
    while not received or received[-1] != b"last":
        sender.flush()
        received += [bytes(frames[0]) for frames in receiver.receive()[0]]
    assert set(received[:-1]) == {fill(100_000, 1)}
    sender.close()
    receiver.close()


def test_threads_that_send_at_once_do_not_mix_their_messages() -> None:
    sender, receiver = make_pair()
    threads = [
        threading.Thread(target=lambda n=n: [sender.send([fill(50_000, n), fill(3, n)]) for _ in range(20)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    received: list[tuple[bytes, bytes]] = []
    while len(received) < 160:
        sender.flush()
        received += [(bytes(a), bytes(b)) for a, b in receiver.receive()[0]]
    for thread in threads:
        thread.join()
    assert sorted(received) == sorted((fill(50_000, n), fill(3, n)) for n in range(8) for _ in range(20))
    sender.close()
    receiver.close()


def test_frames_can_be_read_as_arrays_and_written_to() -> None:
    sender, receiver = make_pair()
    sender.send([b"abc", struct.pack("<3d", 1.0, 2.0, 3.0)])
    [[_, numbers]], _ = receiver.receive()
    assert numbers.cast("d").tolist() == [1.0, 2.0, 3.0]
    numbers[0] = 7
    sender.close()
    receiver.close()


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        struct.pack("<QQ", 4, 1) + b"abcd",  # smaller than the table of its lengths
        struct.pack("<QQQ", 16, 1, 9) + bytes(8),  # a frame that is longer than the message
        struct.pack("<QQ", 2**40, 1),
    ],
)
def test_bytes_that_are_no_messages_are_refused(noise: bytes) -> None:
    left, right = socket.socketpair()
    left.sendall(noise)
    receiver = MessageStream(right)
    with pytest.raises(MessageError):
        receiver.receive()
    left.close()
    receiver.close()


def test_a_send_to_a_closed_end_is_an_error() -> None:
    sender, receiver = make_pair()
    receiver.close()
    with pytest.raises(OSError, match="Broken pipe"):
        sender.send([b"x"])
    sender.close()
    with pytest.raises(OSError, match="descriptor"):
        sender.send([b"x"])
