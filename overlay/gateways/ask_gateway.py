"""Asks a gateway for its status, over UDP, TCP or TLS, from this node's own address.

In: a gateway. Out: a `GatewayAnswer`, always. Counterparts: the carrier; `watching.py` and the
control socket's `AskGateways` ask. The proxies' Kamailio resolves names by itself (RFC 3263, with
NAPTR). Here, names are resolved by SRV, then by address records.
"""

import asyncio
import ipaddress
import os
import socket
import ssl
from contextlib import suppress
from typing import Final

from overlay.base.addresses import HostPort
from overlay.config.config import Config
from overlay.gateways import options
from overlay.membership.discovery import addresses, services
from overlay.records.gateway_answer import GatewayAnswer
from overlay.records.settings import PORTS, Gateway

ANSWER_WITHIN_S: Final = 3.0
ADDRESSES_MAX: Final = 4
"""The number of addresses of one gateway that are asked."""
_REPEAT_S: Final = 0.5
_BYTES_MAX: Final = 65_535
_LABELS: Final = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}


async def ask(gateway: Gateway, config: Config) -> GatewayAnswer:
    """The answer of the first of its addresses that answers; raises nothing."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    status, reason = 0, "the name has no address"
    for address in (await _addresses(gateway))[:ADDRESSES_MAX]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                status, reason = await _ask(gateway, address, config)
            break
        except TimeoutError:
            reason = f"no answer within {ANSWER_WITHIN_S:g} s"
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", "") or str(error)
    return GatewayAnswer(
        gateway=gateway.uri,
        status=status,
        reason=reason,
        elapsed_ms=round((loop.time() - began_s) * 1000),
    )


async def _addresses(gateway: Gateway) -> list[HostPort]:
    host, port = gateway.host.strip("[]"), gateway.port
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return [(host, port or PORTS[gateway.transport])]
    named = [] if port else await services(f"{_LABELS[gateway.transport]}.{host}")
    found: list[HostPort] = []
    for name, of_name in named or [(host, port or PORTS[gateway.transport])]:
        found += await addresses(name, of_name)
    return found


async def _ask(gateway: Gateway, address: HostPort, config: Config) -> tuple[int, str]:
    own = config.node.address6 if ":" in address[0] else config.node.address
    branch = os.urandom(8).hex()
    if gateway.transport == "udp":
        return await _by_datagram(gateway, address, own, config.farm.name, branch)
    return await _by_connection(gateway, address, own, config, branch)


async def _by_datagram(
    gateway: Gateway, address: HostPort, own: str, farm: str, branch: str
) -> tuple[int, str]:
    # A bare socket: if this wait is cancelled, nothing is left that the loop would have to close.
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[tuple[int, str]] = loop.create_future()
    with socket.socket(family, socket.SOCK_DGRAM) as to_gateway:
        to_gateway.setblocking(False)
        to_gateway.bind((own, 0))
        to_gateway.connect(address)
        data = options.request(gateway, farm, _sent_by(to_gateway.getsockname()), branch)
        loop.add_reader(to_gateway, _read, to_gateway, branch, answered)
        try:
            wait_s = _REPEAT_S
            while True:
                to_gateway.send(data)
                with suppress(TimeoutError):
                    return await asyncio.wait_for(asyncio.shield(answered), wait_s)
                wait_s *= 2
        finally:
            loop.remove_reader(to_gateway)
            answered.cancel()


def _read(
    to_gateway: socket.socket, branch: str, answered: "asyncio.Future[tuple[int, str]]"
) -> None:
    if answered.done():
        return
    try:
        found = options.answer(to_gateway.recv(_BYTES_MAX), branch)
    except BlockingIOError:
        return
    except OSError as error:
        answered.set_exception(error)
        return
    if found is not None:
        answered.set_result(found)


async def _by_connection(
    gateway: Gateway, address: HostPort, own: str, config: Config, branch: str
) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection(
        *address,
        local_addr=(own, 0) if own else None,
        limit=_BYTES_MAX,
        ssl=_tls(config) if gateway.transport == "tls" else None,
        server_hostname=gateway.host.strip("[]") if gateway.transport == "tls" else None,
    )
    try:
        sent_by = _sent_by(writer.get_extra_info("sockname"))
        writer.write(options.request(gateway, config.farm.name, sent_by, branch))
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                raise OSError("the connection ended without an answer") from error
            found = options.answer(head, branch)
            if found is not None:
                return found
    finally:
        writer.close()


def _tls(config: Config) -> ssl.SSLContext:
    """Accepts a carrier's certificate as the proxies do: from the CAs of `proxy.tls_ca`, whatever
    name it has."""
    context = ssl.create_default_context(cafile=config.proxy.tls_ca or None)
    context.check_hostname = False
    return context


def _sent_by(sockname: tuple[str, int]) -> str:
    host, port = sockname[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
