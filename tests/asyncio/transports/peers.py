"""The other end, by asyncio's own transports and protocols.

    peers.py client PORT    connections to an echo server: each checks that its own bytes come back, then the end
    peers.py server         an echo server: prints its port, ends with its standard input
    peers.py datagrams TO HERE ECHO
                            on Unix sockets: an echo at ECHO, until it hears "end"; and from HERE, datagrams to the
                            echo at TO, each of which must come back. "@" begins an abstract name

Standard library only, Python 3.8 and newer.
"""

import asyncio
import random
import socket
import sys
import threading

LARGE = 8 << 20


def data_of(number, size):
    block = bytes((number + i) % 251 for i in range(251)) * 300
    return (block * (size // len(block) + 1))[:size]


class Client(asyncio.Protocol):
    """Sends all of its bytes and the end at once, and expects them back; or aborts midway."""

    def __init__(self, number, size, aborts):
        self.data, self.aborts = data_of(number, size), aborts
        self.got = bytearray()
        self.ended = False
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        if self.aborts:
            transport.write(self.data)
        else:
            # Pieces of any size.
            pieces = random.Random(len(self.data))
            position = 0
            while position < len(self.data):
                size = int(2 ** pieces.uniform(0, 22))
                transport.write(self.data[position:position + size])
                position += size
            transport.write_eof()

    def data_received(self, data):
        self.got += data
        if self.aborts and len(self.got) > len(self.data) // 2:
            self.transport.abort()

    def eof_received(self):
        self.ended = True

    def connection_lost(self, error):
        right = self.aborts or (self.ended and error is None and self.got == self.data)
        if not self.done.done():
            self.done.set_result(None if right else "%d of %d bytes, %r" % (len(self.got), len(self.data), error))


async def be_client(port):
    loop = asyncio.get_running_loop()
    sizes = [LARGE, 0, 1] + [1 << (n % 21) for n in range(100)]
    clients = []
    for number, size in enumerate(sizes):
        aborts = number % 10 == 9
        made = lambda: Client(number, size + (1 << 20) * aborts, aborts)
        clients.append((await loop.create_connection(made, "127.0.0.1", port))[1])
    faults = [fault for fault in await asyncio.gather(*(client.done for client in clients)) if fault]
    sys.exit("\n".join(faults) if faults else 0)


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if data.endswith(b"abort!"):
            self.transport.abort()
        else:
            self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def be_server():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    wait = lambda: (sys.stdin.read(), loop.call_soon_threadsafe(ended.set))
    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()


class EchoDatagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.ended = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        if data == b"end":
            self.ended.set()
        else:
            self.transport.sendto(data, address)


class Asking(asyncio.DatagramProtocol):
    def __init__(self):
        self.answers = asyncio.Queue()

    def datagram_received(self, data, address):
        self.answers.put_nowait((data, address))

    def error_received(self, error):
        self.answers.put_nowait((error, None))


async def be_datagrams(to, here, echo):
    to = to.replace("@", "\0")
    make = asyncio.get_running_loop().create_datagram_endpoint
    unix = {"family": socket.AF_UNIX}
    server, echoing = await make(EchoDatagrams, local_addr=echo, **unix)
    client, asking = await make(Asking, local_addr=here, remote_addr=to, **unix)
    lengths = [1, 1473, 65507, 150000] + list(range(1, 200))
    sent = [bytes([n % 256]) * n for n in lengths]
    for data in sent:
        client.sendto(data)
    for data in sent:
        got, address = await asking.answers.get()
        assert got == data, (len(data), got if isinstance(got, Exception) else len(got))
        # The kernel gives abstract names as bytes.
        assert address in (to, to.encode()), address
    await echoing.ended.wait()
    client.close()
    server.close()


if sys.argv[1] == "client":
    asyncio.run(be_client(int(sys.argv[2])))
elif sys.argv[1] == "datagrams":
    asyncio.run(be_datagrams(*sys.argv[2:]))
else:
    asyncio.run(be_server())
