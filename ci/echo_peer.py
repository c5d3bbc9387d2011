#!/usr/bin/env python3
"""Clients for the echo example: they check every byte that comes back.

Most clients send a small amount, a few up to --max-size, in chunks and with pauses that are drawn
from --seed, and read at the same time. Each shuts its sending side down at the end and expects
exactly its own bytes and then the end of the stream. One in ten resets its connection midway
instead and checks what it got by then; one in ten starts to read late, so that the server has to
hold back. At the end one more client asks whether the server still answers.

Standard library only, Python 3.8 and newer. Prints one summary line; leaves with 1 on any wrong,
lost or surplus byte, and on a hang.
"""

import argparse
import asyncio
import random
import socket
import struct
import sys
import time

MIB = 1 << 20


class Fault(Exception):
    """The server did not echo as it must."""


class Client:
    """One connection: what it sends, how, and how far it has come."""

    def __init__(self, number, kind, data, seed):
        self.number, self.kind, self.data = number, kind, data
        self.random = random.Random("%s-%d" % (seed, number))
        self.sent = self.got = 0
        self.state = "waiting to start"

    def __str__(self):
        return "client %d (%s, %d bytes; sent %d, got %d; %s)" % (
            self.number, self.kind, len(self.data), self.sent, self.got, self.state)

    def chunk(self):
        """A size between 1 byte and 64 KiB, as likely small as large."""
        return int(2 ** self.random.uniform(0, 16))

    async def pause(self):
        draw = self.random.random()
        if draw < 0.05:
            await asyncio.sleep(self.random.uniform(0, 0.005))
        elif draw < 0.2:
            await asyncio.sleep(0)

    async def run(self, host, port):
        await asyncio.sleep(self.random.uniform(0, 0.3))
        self.state = "connecting"
        reader, writer = await asyncio.open_connection(host, port)
        receiving = asyncio.ensure_future(self.receive(reader))
        sending = asyncio.ensure_future(self.send(writer))
        try:
            if self.kind == "reset":
                # The server must not end the stream before the reset: receiving ends only in a fault.
                await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
                if receiving.done():
                    await receiving
                    raise Fault("the stream ended before this side did")
                await sending
            else:
                # The first failure counts: a server that closes early fails both sides.
                await asyncio.gather(sending, receiving)
                if self.got != len(self.data):
                    raise Fault("the stream ended %d bytes early" % (len(self.data) - self.got))
            self.state = "done"
        except ConnectionError as error:
            raise Fault("the connection broke: %r" % error) from None
        finally:
            sending.cancel()
            receiving.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
            if self.kind == "reset":
                linger_not = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
                writer.transport.abort()
            else:
                writer.close()

    async def send(self, writer):
        end = len(self.data)
        if self.kind == "reset":
            end = self.random.randint(0, end)
        self.state = "sending"
        while self.sent < end:
            size = min(self.chunk(), end - self.sent)
            writer.write(self.data[self.sent:self.sent + size])
            self.sent += size
            await writer.drain()
            await self.pause()
        if self.kind == "reset":
            # Sometimes at once, sometimes while the echo is on its way.
            await asyncio.sleep(self.random.choice((0, 0.001, 0.02)))
        else:
            writer.write_eof()
            self.state = "waiting for the rest"

    async def receive(self, reader):
        if self.kind == "late reader":
            await asyncio.sleep(self.random.uniform(0.2, 1.0))
        while True:
            piece = await reader.read(self.chunk())
            if not piece:
                return
            if self.data[self.got:self.got + len(piece)] != piece:
                raise Fault(self.mismatch(piece))
            self.got += len(piece)
            await self.pause()

    def mismatch(self, piece):
        expected = self.data[self.got:self.got + len(piece)]
        for i, (a, b) in enumerate(zip(expected, piece)):
            if a != b:
                return "byte %d came back as %d instead of %d" % (self.got + i, b, a)
        return "%d bytes more came back than were sent" % (len(piece) - len(expected))


def plan(options):
    """The clients: a few edge cases, one of the largest size, the rest small with a long tail."""
    chance = random.Random(options.seed)
    # Every client sends a different window of the same noise: a byte that is lost, doubled or
    # belongs to somebody else does not fit.
    shift = MIB
    length = options.max_size + shift
    noise = memoryview(chance.getrandbits(8 * length).to_bytes(length, "little"))

    edges = [options.max_size, 0, 1, 65536, 65537, 16384]
    left = options.total
    clients = []
    for number in range(options.clients):
        if number < len(edges):
            size = edges[number]
        elif chance.random() < 0.05:
            size = int(2 ** chance.uniform(16, 23))
        else:
            size = int(2 ** chance.uniform(0, 16))
        size = min(size, options.max_size, left)
        left -= size
        # The edge cases echo in full; after them every tenth resets, every tenth reads late.
        turn = number % 10 if number >= len(edges) else 0
        kind = {7: "reset", 3: "late reader"}.get(turn, "plain")
        start = chance.randrange(shift)
        clients.append(Client(number, kind, noise[start:start + size], options.seed))
    return clients, noise


async def drive(options):
    """Runs all clients: the faults as text, and the clients."""
    clients, noise = plan(options)
    tasks = {}
    for client in clients:
        tasks[asyncio.ensure_future(client.run(options.host, options.port))] = client
    _, hanging = await asyncio.wait(tasks, timeout=options.timeout)
    faults = []
    for task in hanging:
        task.cancel()
        faults.append("%s: hangs" % tasks[task])
    await asyncio.gather(*tasks, return_exceptions=True)
    for task, client in tasks.items():
        if task not in hanging and task.exception() is not None:
            faults.append("%s: %s" % (client, task.exception() or repr(task.exception())))

    last = Client(len(clients), "plain", noise[:100], options.seed)
    try:
        await asyncio.wait_for(last.run(options.host, options.port), 10)
    except Exception as error:
        faults.append("afterwards, %s: %s" % (last, error or repr(error)))
    return faults, clients


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--max-size", type=int, default=5 * MIB, help="bytes of the largest client")
    parser.add_argument("--total", type=int, default=48 * MIB, help="bytes of all clients together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=60, help="seconds until it is a hang")
    options = parser.parse_args()

    start = time.monotonic()
    faults, clients = asyncio.run(drive(options))
    seconds = time.monotonic() - start
    for fault in faults[:10]:
        print("echo_peer: " + fault, file=sys.stderr)
    print("echo_peer: %s: %d clients (%d resets), %d bytes echoed and checked, %.1f s, seed %d" % (
        "%d FAULTS" % len(faults) if faults else "ok", len(clients),
        sum(client.kind == "reset" for client in clients),
        sum(client.got for client in clients), seconds, options.seed))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
