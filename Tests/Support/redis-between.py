"""Stands between clients and a Redis, and does with each command as the file MODE says.

    redis-between.py MODE REDIS_PORT [PORT]

`pass`; `slow`: answers come after 500 ms; `reset`: the connection is reset at a command; `loading`: what Redis says while it loads;
`garbage`. Prints its port.
"""

import asyncio
import sys

MODE, REDIS_PORT = sys.argv[1], int(sys.argv[2])
PORT = int(sys.argv[3]) if len(sys.argv) > 3 else 0


def mode():
    with open(MODE, encoding="ascii") as file:
        return file.read().strip()


def commands(data):
    """What is left behind the last whole command, and how many whole ones there are."""
    count = at = 0
    while True:
        start = at
        end = data.find(b"\r\n", at)
        if end < 0:
            return data[start:], count
        words, at = int(data[at + 1:end]), end + 2
        for _ in range(words):
            end = data.find(b"\r\n", at)
            if end < 0 or len(data) < (after := end + 4 + int(data[at + 1:end])):
                return data[start:], count
            at = after
        count += 1


async def serve(reader, writer):
    upstream = back = None
    try:
        from_redis, upstream = await asyncio.open_connection("127.0.0.1", REDIS_PORT)
        back = asyncio.ensure_future(answers(from_redis, writer))
        pending = b""
        while chunk := await reader.read(65536):
            how = mode()
            if how == "reset":
                break
            if how == "garbage":
                writer.write(bytes(range(256)) * 16)
            elif how == "loading":
                pending, count = commands(pending + chunk)
                writer.write(b"-LOADING Redis is loading the dataset in memory\r\n" * count)
            else:
                upstream.write(chunk)
    except OSError:
        pass
    finally:
        if back:
            back.cancel()
        for end in (writer, upstream):
            if end:
                end.transport.abort()


async def answers(reader, writer):
    try:
        while chunk := await reader.read(65536):
            if mode() == "slow":
                await asyncio.sleep(0.5)
            writer.write(chunk)
    except OSError:
        pass
    writer.transport.abort()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, backlog=128)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
