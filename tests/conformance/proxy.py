"""A way to a server on which what a client sends can be held up, byte for byte."""

from __future__ import annotations

import socket
import threading

PIECE_BYTES = 64 * 1024


class Proxy:
    """In front of one address. What the server says goes back at once; what clients say waits while `hold` is on."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        # Bytes that wait.
        self.waiting = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def close(self) -> None:
        self.release()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, timeout=30)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for way in ((client, server, self._open), (server, client, None)):
                threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, gate: threading.Event | None) -> None:
        try:
            while piece := source.recv(PIECE_BYTES):
                if gate is not None and not gate.is_set():
                    self.waiting += len(piece)
                    gate.wait()
                    self.waiting -= len(piece)
                sink.sendall(piece)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
