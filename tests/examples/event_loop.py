"""Images in an event loop: nothing waits in its thread."""

import asyncio
import sys

import shmsem


async def main(names):
    async with shmsem.AsyncConnection() as client:
        for image in await client.fetch_many(names):
            print(f"{image.name}: {image.info.width}×{image.info.height}")


asyncio.run(main(sys.argv[1:]))
