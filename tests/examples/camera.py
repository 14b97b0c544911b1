"""A camera: its newest frame is handed out to all who ask, and the camera never waits for them."""

import threading

import numpy
import shmsem

with shmsem.Server(namespace="camera") as server:
    answering = threading.Thread(target=server.run)
    answering.start()
    for number in range(3):
        frame = numpy.full((480, 640, 3), number, numpy.uint8)  # from the sensor
        server.publish("newest", frame)
        with shmsem.fetch("newest", namespace="camera") as seen:  # in another process
            print(seen.shape, seen.view[0, 0, 0])
    server.stop()
    answering.join()
