"""The web process itself: uvicorn on 127.0.0.1, until Ctrl-C."""

import socket
from contextlib import suppress

import uvicorn

from sansface.errors import SansfaceError
from sansface.serve import log
from sansface.serve.app import create_app
from sansface.serve.connection import Connection
from sansface.serve.database import open_database
from sansface.serve.deployment import Deployment
from sansface.serve.limits import Limits
from sansface.serve.service import Retention
from sansface.serve.store import Store

HOST = "127.0.0.1"
"""To the world only a TLS proxy speaks (docs/deploy.md)."""
LAST_SECONDS = 10
"""What requests under way are given when the server ends."""


def serve(deployment: Deployment, port: int, limits: Limits, retention: Retention) -> None:
    """Answer until Ctrl-C or SIGTERM.

    Args:
        port: 0 takes a free one.

    Raises:
        SansfaceError: the port is taken, the database or the store cannot be used, or the key is another one.
    """
    open_database(deployment.database).dispose()  # what cannot be used is said in one sentence, before all
    store = Store(deployment.store, deployment.key)
    store.check()
    store.check_key()
    log.configure()
    app = create_app(deployment, limits, retention)
    config = uvicorn.Config(
        app,
        http=Connection,
        access_log=False,  # it would have addresses and paths; our own log has neither
        log_config=None,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=LAST_SECONDS,
        forwarded_allow_ips=HOST,
        lifespan="on",
    )
    server = _Server(config)
    app.state.stopping = lambda: server.should_exit
    with _listen(port) as listening, suppress(KeyboardInterrupt):  # which uvicorn raises after all has ended
        server.run(sockets=[listening])


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            print(f"http://{HOST}:{sockets[0].getsockname()[1]}/  (Ctrl-C ends it)", flush=True)


def _listen(port: int) -> socket.socket:
    # Named, for asyncio sends at once (TCP_NODELAY) only where it reads so; else each answer waits 40 ms.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise SansfaceError(f"port {port} cannot be used; choose another with --port.") from error
    return listening
