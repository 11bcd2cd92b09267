"""The command line: one verb a class, its fields the options. What a verb does is elsewhere in the package.

Everything heavy is imported inside a verb, so that `--help` is quick and `protect` never loads torch.
"""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tyro
from tyro.conf import DisallowNone

from sansface import __version__
from sansface.cli.account import Account
from sansface.cli.anonymize import Anonymize, Authenticate, Register, Unseal
from sansface.cli.assets import Assets
from sansface.cli.audit import Audit
from sansface.cli.backup import Backup
from sansface.cli.bench import Bench
from sansface.cli.capture import Check, Convert, Masks, Photographs, Roles
from sansface.cli.deidentify import Deidentify
from sansface.cli.demo import Demo
from sansface.cli.evaluate import Evaluate
from sansface.cli.head import Head
from sansface.cli.keys import NewKey
from sansface.cli.neural_head import TrainNeuralHead
from sansface.cli.page import Page
from sansface.cli.protect import Inspect, Protect
from sansface.cli.reconstruct import Reconstruct, Render
from sansface.cli.serve import Serve
from sansface.cli.template import TrainTemplate
from sansface.cli.worker import Batch, Worker
from sansface.errors import SansfaceError

VERBS = {
    "demo": Demo,
    "capture": Photographs,
    "masks": Masks,
    "roles": Roles,
    "check": Check,
    "protect": Protect,
    "convert": Convert,
    "inspect": Inspect,
    "page": Page,
    "reconstruct": Reconstruct,
    "render": Render,
    "template": TrainTemplate,
    "neural-head": TrainNeuralHead,
    "evaluate": Evaluate,
    "head": Head,
    "deidentify": Deidentify,
    "key": NewKey,
    "anonymize": Anonymize,
    "authenticate": Authenticate,
    "register": Register,
    "unseal": Unseal,
    "audit": Audit,
    "bench": Bench,
    "serve": Serve,
    "account": Account,
    "assets": Assets,
    "worker": Worker,
    "batch": Batch,
    "backup": Backup,
}


Verb = (
    Demo
    | Photographs
    | Masks
    | Roles
    | Check
    | Protect
    | Convert
    | Inspect
    | Page
    | Reconstruct
    | Render
    | TrainTemplate
    | TrainNeuralHead
    | Evaluate
    | Head
    | Deidentify
    | NewKey
    | Anonymize
    | Authenticate
    | Register
    | Unseal
    | Audit
    | Bench
    | Serve
    | Account
    | Assets
    | Worker
    | Batch
    | Backup
)


class Ended(KeyboardInterrupt):
    """The process was told to end, or its terminal is gone.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


@contextmanager
def _clearing_up() -> Iterator[None]:
    """Being told to end is as Ctrl-C: what is half written, and may show people, is removed.

    Who listens to Ctrl-C himself, as a training that ends after a whole step, is told as by Ctrl-C. Whoever
    has a way of his own to end, such as the server, sets it over this one.
    """

    def end(number: int, frame: Any) -> None:
        listener = signal.getsignal(signal.SIGINT)
        if callable(listener) and listener is not signal.default_int_handler:
            listener(number, frame)
        else:
            raise Ended(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):  # Windows has no second one
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parse(words: Sequence[str]) -> Verb:
    """The verb with its options, nothing done yet; SystemExit 2 where the words make no sense."""
    about = "3D heads from photographs that hide the face. Protected is not anonymous."
    return tyro.extras.subcommand_cli_from_dict(
        VERBS, prog="sansface", description=about, args=words, config=(DisallowNone,)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    argv: the words after `sansface`; None takes them from the process.
    Returns the exit code: 0, 1 for an error that was said in one sentence on stderr, 2 for a command that
    does not exist so, 3 for findings of a check, 130 after Ctrl-C, 143 or 129 where it was told to end or its
    terminal was closed (130 in a training, see `_clearing_up`), 141 where nobody reads the output any more.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console that has no σ prints "?" instead of failing
            stream.reconfigure(errors="replace", line_buffering=True)
    try:
        if words == ["--version"]:
            print(f"sansface {__version__}")
        else:
            with _clearing_up():
                parse(words).run()
        sys.stdout.flush()
    except SystemExit as leave:  # tyro's: help was shown, or the words were not understood
        return leave.code if isinstance(leave.code, int) else 2
    except SansfaceError as error:
        return _failed(str(error))
    except Ended as end:
        return _failed("told to end before it was done.", 128 + end.signal)
    except KeyboardInterrupt as stop:
        return _failed(str(stop) or "interrupted.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 141
    except OSError as error:
        return _failed(
            f"{error.strerror or error}: {error.filename or 'the output'}; check it and try again."
        )
    except MemoryError:
        return _failed("there is not enough memory; lower the resolution or close other programs.")
    return 0


def _failed(sentence: str, code: int = 1) -> int:
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    return code
