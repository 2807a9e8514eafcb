"""The entry points that Kamailio calls. Each of them hands a message to one of the routes.

In: Kamailio's calls, in each of its worker processes. Out: nothing but what the routes do.
Counterpart: `kamailio.cfg.j2`, which names this file.

No exception gets past this file, so that no worker is lost and no client waits in vain: an
exception is counted and logged, and its request is answered 500 (RFC 3261 21.5.1).
"""

import gc
import os
import site
import sys
import time
from collections.abc import Callable
from typing import Final

import KSR


def _add_site_packages() -> None:
    """Put this project and its packages before those of the system's Python.

    Kamailio puts this folder on the path by itself; its files would hide modules of the same names.
    """
    before = [path for path in sys.path if path != os.path.dirname(__file__)]
    site.addsitedir(KSR.kx.get_def("SIPFARM_SITE_PACKAGES"))
    own = [path for path in sys.path if path not in (*before, os.path.dirname(__file__))]
    sys.path[:] = [*own, *before]


_add_site_packages()

from overlay.control.client import ControlClient  # noqa: E402
from proxy import counters  # noqa: E402
from proxy.ksr import Ksr, kamailio  # noqa: E402
from proxy.load import (  # noqa: E402
    BusyPeriod,
    Load,
    MessageQueue,
    SharedMemory,
    sockets_of_this_process,
)
from proxy.overlay_client import OverlayClient  # noqa: E402
from proxy.ping_round import PingRound  # noqa: E402
from proxy.routes import checks, fork, pings, reply, request, trunks, websocket_handshake  # noqa: E402
from proxy.settings import Settings  # noqa: E402
from proxy.worker import RateLimitedLog, Worker  # noqa: E402

LOG_LEVEL: Final = -2
"""Kamailio's level for critical errors and worse. Anybody can provoke the lines of the levels
below, so the causes of those are counted instead. That holds for all processes: the one that
accepts connections would write a line for each that it refuses."""
_MAIN_PROCESS: Final = 0
"""Kamailio's rank of the process that starts the others, and does nothing for strangers."""


class EntryPoints:
    """The object that Kamailio calls: made once before Kamailio forks, and completed in each
    worker."""

    def __init__(self, ksr: Ksr, settings: Settings) -> None:
        self._ksr = ksr
        self._settings = settings
        self._worker = self._make_worker()
        self._busy: BusyPeriod | None = None
        """In a worker that reads connections, and in any before its first message."""
        self._pings_due = PingRound(settings.config.proxy.nat_ping_s)

    def child_init(self, rank: int) -> int:
        """Give the worker its own connection to the daemon, which opens at the first question; and
        keep Kamailio from logging each message that it cannot parse."""
        self._worker = self._make_worker()
        if rank != _MAIN_PROCESS:
            self._ksr.kex.setdebug(LOG_LEVEL)
        if rank > 0:
            proxy = self._settings.config.proxy
            if proxy.shed_delay_ms:
                self._busy = BusyPeriod(time.monotonic)
                queues: list[MessageQueue] = [
                    *sockets_of_this_process(proxy.port),
                    SharedMemory(
                        lambda: int(self._ksr.pv.get("$stat(free_size)")),
                        proxy.shared_memory_mib << 20,
                    ),
                    self._busy,
                ]
                self._worker.load = Load(queues, proxy.shed_delay_ms / 1000, time.monotonic)
        gc.freeze()
        return 0

    def ksr_request_route(self, _message: object) -> int:
        """A request came in."""
        if self._busy is not None:
            self._begin(self._busy)
        try:
            request.route(self._worker)
        except UnicodeDecodeError:
            checks.refuse_malformed(self._worker)
        except Exception as error:
            self._failed("request", error)
            self._answer_500()
        finally:
            self._worker.call_claimed = False
            if self._busy is not None:
                self._busy.end()
        return 1

    def ksr_branch_route(self, _message: object) -> int:
        """A branch of a fork is about to go out."""
        try:
            fork.prepare_branch(self._worker)
        except UnicodeDecodeError:
            self._worker.count(counters.MALFORMED)
            self._ksr.set_drop()
        except Exception as error:
            self._failed("branch", error)
            self._ksr.set_drop()
        return 1

    def ksr_branch_failure_route(self, _message: object, _event: object = None) -> int:
        """A branch of a fork ended without success."""
        self._run("branch failure", fork.try_next_flow)
        return 1

    def ksr_failure_route(self, _message: object) -> int:
        """A transaction ended without success."""
        self._run("failure", fork.end_or_try_next_group)
        return 1

    def ksr_trunk_branch_route(self, _message: object) -> int:
        """A request is about to go to a gateway."""
        if not self._run("trunk branch", trunks.prepare_branch):
            self._ksr.set_drop()
        return 1

    def ksr_trunk_failure_route(self, _message: object) -> int:
        """A gateway has failed, or refused."""
        self._run("trunk failure", trunks.try_next_gateway)
        return 1

    def ksr_reply_route(self, _message: object) -> int:
        """A reply came in. A final reply that the route could not look at is held back where calls
        are billed, as it may be the start of a call."""
        if self._busy is not None:
            self._begin(self._busy)
        try:
            reply.route(self._worker)
        except UnicodeDecodeError:
            self._worker.count(counters.MALFORMED)
            self._hold_back()
        except Exception as error:
            self._failed("reply", error)
            self._hold_back()
        finally:
            if self._busy is not None:
                self._busy.end()
        return 1

    def ksr_xhttp_event(self, _message: object, _event: object = None) -> int:
        """An HTTP request came in on a connection."""
        try:
            websocket_handshake.route(self._worker)
        except UnicodeDecodeError:
            self._worker.count(counters.MALFORMED)
        except Exception as error:
            self._failed("handshake", error)
        return 1

    def ksr_nat_pings(self, _message: object, _module: object = None) -> int:
        """A second has passed, in the one process that sends the pings."""
        self._run("pings", lambda worker: pings.tick(worker, self._pings_due))
        return 1

    def ksr_onsend_route(self, _message: object) -> int:
        """A message is about to be sent. Kamailio wants this function but never calls it:
        kamailio.cfg turns the callback off."""
        return 1

    def _begin(self, busy: BusyPeriod) -> None:
        if self._ksr.is_UDP():
            # This process reads datagrams, for which the kernel tells the delay itself.
            self._busy = None
        else:
            busy.begin()

    def _make_worker(self) -> Worker:
        client = ControlClient(self._settings.config.control_socket)
        worker_log = RateLimitedLog(self._ksr.crit, time.monotonic)
        return Worker(
            ksr=self._ksr,
            settings=self._settings,
            overlay=OverlayClient(client, self._ksr.counters.inc),
            log=worker_log,
        )

    def _hold_back(self) -> None:
        if self._settings.config.billing.enabled and self._ksr.kx.get_status() >= 200:
            self._ksr.set_drop()

    def _run(self, where: str, route: Callable[[Worker], None]) -> bool:
        """Whether the route ran to its end. This is for routes that see a message which was parsed
        before: any error in them is the farm's, bytes that are not UTF-8 included."""
        try:
            route(self._worker)
        except Exception as error:
            self._failed(where, error)
            return False
        return True

    def _failed(self, where: str, error: Exception) -> None:
        self._worker.count(counters.PYTHON_ERRORS)
        self._worker.log.line(where, f"{where} route failed: {describe(error)}")

    def _answer_500(self) -> None:
        try:
            self._ksr.sl.sl_send_reply(500, "Server Internal Error")
        except Exception as error:
            self._worker.log.line("500", f"no answer could be sent: {describe(error)}")


def describe(error: Exception) -> str:
    """The error's type, text and innermost line. It leaves out the values that a traceback would
    show."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} at {where}: {str(error)[:200]}"


def mod_init() -> EntryPoints:
    """Kamailio calls this once, before it forks; an exception here keeps it from starting."""
    ksr = kamailio()
    return EntryPoints(ksr, Settings.from_defines(ksr.kx.get_def))
