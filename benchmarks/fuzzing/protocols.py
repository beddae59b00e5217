"""Targets that speak the protocols between processes: the engine's, and those of the estimators and their workers."""

import random
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np

from benchmarks.fuzzing.mutations import damage
from benchmarks.fuzzing.targets import Make, Send, Target
from engine import messages as engine_messages
from engine.errors import ItemFailedError
from engine.interface import EmbedRequest, EmbedResult, Readiness
from models.status import ModelStatus
from processes.errors import EngineStoppedError, MessageError, ProcessError
from processes.streams import Buffer, MessageStream
from video import messages as video_messages
from video import worker_messages
from video.errors import VideoUnreadableError
from video.estimates import Estimate, VideoFacts, VideoLimits
from video.interface import EstimateRequest, Finished, Progress

JSON_WORDS = (
    b"null",
    b"-1",
    b"1e999",
    b"[]",
    b"{}",
    b'"',
    b"true",
    b'"text"',
    b'"pose"',
    b"99999999999999999999",
    b"NaN",
)
_UNPACK: dict[bytes, Callable[..., object]] = {
    engine_messages.EMBED: engine_messages.unpack_embed,
    engine_messages.CANCEL: lambda frames: engine_messages.unpack_header(frames, 2),
    engine_messages.HELLO: lambda frames: engine_messages.unpack_header(frames, 2),
    engine_messages.METRICS: engine_messages.unpack_metrics,
    engine_messages.RESULTS: engine_messages.unpack_results,
    engine_messages.REFUSAL: engine_messages.unpack_refusal,
    engine_messages.STATUS: engine_messages.unpack_status,
}


def _list_engine_messages() -> list[list[Buffer]]:
    text = EmbedRequest("fingerspelling", "text", [np.arange(4, dtype=np.int32), np.arange(3, dtype=np.int32)], 5.0)
    clip = EmbedRequest("fingerspelling", "pose", [np.ones((4, 609), np.float32), np.ones((2, 609), np.float32)])
    result = EmbedResult(np.ones((2, 4), np.float32), {1: ItemFailedError("x")}, 0.1, 0.2, 1, "0" * 64, "float32")
    status = engine_messages.EngineStatus("tiny", Readiness(False, "why"), {"tiny": ModelStatus("tiny", "loaded")})
    return [
        engine_messages.pack_embed(7, text),
        engine_messages.pack_embed(8, clip),
        engine_messages.pack_cancel(7),
        engine_messages.pack_metrics(9, "# TYPE x gauge\nx 1\n"),
        engine_messages.pack_hello(),
        engine_messages.pack_results([(7, result), (8, result)]),
        engine_messages.pack_refusal(7, EngineStoppedError("x", retry_after_s=1.0)),
        engine_messages.pack_status(status),
    ]


def _record(messages: Sequence[Sequence[Buffer]]) -> list[bytes]:
    """Write messages as they go over a socket."""
    recorded = []
    for frames in messages:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with far:
            stream = MessageStream(near)
            stream.send(frames)
            stream.close()
            recorded.append(b"".join(iter(lambda far=far: far.recv(65536), b"")))  # type: ignore[misc]
    return recorded


def list_engine_seeds() -> list[bytes]:
    """List messages of the engine and its clients as they go over a socket."""
    return _record(_list_engine_messages())


@contextmanager
def _open_engine() -> Iterator[tuple[Make, Send]]:
    """What engine and web workers receive from each other, damaged as a stream and inside its frames."""
    packed = _list_engine_messages()
    seeds = _record(packed)

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return damage(rng, rng.choice(seeds) + rng.choice(seeds), words=JSON_WORDS, others=seeds)
        kind, *frames = (bytes(memoryview(frame).cast("B")) for frame in rng.choice(packed))
        number = rng.randrange(len(frames))
        frames[number] = damage(rng, frames[number], words=JSON_WORDS)
        return _record([[kind, *frames]])[0]

    def send(data: bytes) -> str:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with far:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
            far.sendall(data)
            stream = MessageStream(near)
            try:
                received, _ = stream.receive()
                for frames in received:
                    kind = bytes(frames[0]) if frames else b""
                    _UNPACK.get(kind, len)(frames)
            except MessageError:
                return "MessageError"
            finally:
                stream.close()
        return f"{len(received)} read"

    yield make, send


Speak = Callable[[Connection], object]


def _record_spoken(speak: Speak) -> bytes:
    """Write what is sent over a connection."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with far:
        with Connection(near.detach()) as connection:
            speak(connection)
        return b"".join(iter(lambda: far.recv(65536), b""))


def _list_video_messages() -> list[tuple[Speak, Speak]]:
    """List what is sent, each with what receives it."""
    facts, limits = VideoFacts(64, 48, 25.0, 4, 0.16, 0, "h264", "x"), VideoLimits()
    done = Finished(0, Estimate(b"pose", facts, ("warning",)))
    request = EstimateRequest([b"video", b"other"], limits, 5.0, "127.0.0.1")
    return [
        (lambda end: video_messages.send_request(end, request), video_messages.receive_request),
        (lambda end: video_messages.send_metrics_request(end), video_messages.receive_request),
        (lambda end: video_messages.send_admitted(end), video_messages.receive_event),
        (lambda end: video_messages.send_event(end, Progress(0, 1, 2)), video_messages.receive_event),
        (lambda end: video_messages.send_event(end, done), video_messages.receive_event),
        (
            lambda end: video_messages.send_event(end, Finished(0, VideoUnreadableError("x"))),
            video_messages.receive_event,
        ),
        (lambda end: video_messages.send_refusal(end, EngineStoppedError("x")), video_messages.receive_event),
        (lambda end: worker_messages.send_video(end, b"video", limits), worker_messages.receive_order),
        (lambda end: worker_messages.send_stop(end), worker_messages.receive_order),
        (lambda end: worker_messages.send_ready(end, resident_bytes=1), worker_messages.receive_report),
        (lambda end: worker_messages.send_frame_done(end, 1, None), worker_messages.receive_report),
        (
            lambda end: worker_messages.send_failed(end, VideoUnreadableError("x"), resident_bytes=1),
            worker_messages.receive_report,
        ),
        (
            lambda end: worker_messages.send_estimated(end, b"p", facts=facts, warnings=["w"], resident_bytes=1),
            worker_messages.receive_report,
        ),
    ]


def list_estimator_seeds() -> list[bytes]:
    """List what clients send to estimators, as it goes over a socket."""
    return [_record_spoken(speak) for speak, _ in _list_video_messages()[:2]]


@contextmanager
def _open_estimators() -> Iterator[tuple[Make, Send]]:
    """What estimators, their clients and their workers receive from each other."""
    spoken = [(_record_spoken(speak), receive) for speak, receive in _list_video_messages()]

    def make(rng: random.Random) -> bytes:
        number = rng.randrange(len(spoken))
        data = spoken[number][0]
        if rng.random() < 0.7:  # the lengths stay right, so that what they hold is looked at
            length = struct.unpack("!i", data[:4])[0]
            first = damage(rng, data[4 : 4 + length], words=JSON_WORDS)
            data = struct.pack("!i", len(first)) + first + data[4 + length :]
        else:
            data = damage(rng, data, words=JSON_WORDS)
        return bytes([number]) + data

    def send(message: bytes) -> str:
        receive = spoken[message[0]][1]
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with far:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
            far.sendall(message[1:])
            far.shutdown(socket.SHUT_WR)
            with Connection(near.detach()) as connection:
                try:
                    receive(connection)
                except (MessageError, ProcessError, EOFError, OSError) as error:
                    return type(error).__name__
        return "read"

    yield make, send


TARGETS = (Target("engine", 45, _open_engine), Target("estimators", 40, _open_estimators))
