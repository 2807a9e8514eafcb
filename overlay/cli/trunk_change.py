"""Reads the farm's settings, signs changed ones and puts them in force.

In: what changes. Out: the next version of the settings to the daemon. Counterparts: `trunk.py` and
`trunk_numbers.py`, which decide what changes.
"""

import argparse
import time
from collections.abc import Callable

from overlay.cli import arguments
from overlay.cli.ask_daemon import daemon
from overlay.control.control_protocol import Done
from overlay.control.operator_messages import GetSettings, PutSettings, SettingsInForce
from overlay.records import settings
from overlay.records.settings import FarmSettings


def in_force(args: argparse.Namespace) -> FarmSettings:
    """The settings in force at the asked node. That node has checked that the operator signed
    them."""
    with daemon(args) as node:
        answer = node.ask(GetSettings(), SettingsInForce)
    return settings.content(settings.decode(answer.body))


def change(
    args: argparse.Namespace, changed: Callable[[FarmSettings], FarmSettings]
) -> FarmSettings:
    """Apply `changed` to the settings in force, sign the result, and hand it to the farm.

    The signature of the settings in force is checked before they are signed again, so that no node
    can slip something in.
    """
    key = arguments.operator_key(args, arguments.known_config(args))
    with daemon(args) as node:
        before = settings.decode(node.ask(GetSettings(), SettingsInForce).body)
        if before.version:
            before = settings.admit(settings.encode(before), key.public)
        wanted = changed(settings.content(before))
        version = max(time.time_ns() // 1_000_000, before.version + 1)
        record = settings.signed(version, wanted, key)
        node.ask(PutSettings(body=settings.encode(record)), Done)
    return wanted
