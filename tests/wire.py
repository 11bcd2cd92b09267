"""Between a browser and a server: every byte of every request, and connections that break when asked to."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

SILENCE = 0.5
"""Seconds between the last byte and the break: as when a lid is closed, what has come can still be read."""


class Wire:
    """A TCP relay on a free port of 127.0.0.1.

    Attributes:
        url: where the browser goes.
        sent: all bytes that the browser sent, of all connections in the order of their arrival.
    """

    def __init__(self, url: str) -> None:
        self._to = ("127.0.0.1", urlsplit(url).port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.sent = bytearray()
        self._left: int | None = None  # bytes until the connection breaks; None: it holds
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, after: int = 0) -> None:
        """Once so many more bytes were sent, fall silent, break, and take no connection until `mend`."""
        with self._lock:
            self._left = after
        if not after:
            self._break()

    @property
    def broken(self) -> bool:
        return self._left == 0

    def mend(self) -> None:
        with self._lock:
            self._left = None

    def close(self) -> None:
        self._listening.close()
        self._break()

    def _break(self) -> None:
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                browser, _ = self._listening.accept()
            except OSError:
                return
            if self.broken:
                browser.close()
                continue
            server = socket.create_connection(self._to)
            self._open |= {browser, server}
            threading.Thread(target=self._pump, args=(browser, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, browser, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, recorded: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 14):
                if recorded:
                    data = self._recorded(data)
                sink.sendall(data)
                if self.broken:
                    time.sleep(SILENCE)
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._open.discard(end)

    def _recorded(self, data: bytes) -> bytes:
        with self._lock:
            if self._left is not None:
                data = data[: self._left]
                self._left -= len(data)
            self.sent += data
        return data


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    wire = Wire(url)
    try:
        yield wire
    finally:
        wire.close()
