"""`sipfarm subscriber`: manages the subscribers, who may register and call.

In: the command line; passwords from a prompt, a file or stdin. Out: the digest secrets to the
daemon, signed with the operator's key; never the passwords. Counterparts:
`operator_messages.PutSubscriber`, `overlay.records.subscriber`.
"""

import argparse
import time
from pathlib import Path

from msgspec.structs import replace

from overlay.base.errors import ConfigError, SipfarmError, UnavailableError
from overlay.cli import arguments, output, pages, passwords, subscriber_policy, table
from overlay.cli.ask_daemon import Daemon, completeness, daemon
from overlay.cli.exits import Exit
from overlay.cli.pages import Page
from overlay.cli.subscriber_change import put, remove_bindings
from overlay.control.operator_messages import (
    GetSubscriber,
    ListSubscribers,
    SubscriberInForce,
    Subscribers,
)
from overlay.identity.operator import OperatorKey
from overlay.records.subscriber import Subscriber, with_password

_PROGRESS_EVERY_S = 1.0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "subscriber", help="subscribers: add, list, show, set, block, unblock, remove"
    )
    verbs = parser.add_subparsers(dest="subscriber_verb", required=True, metavar="VERB")
    add = arguments.add_verb(
        verbs,
        "add",
        "add a subscriber, or change the password of one",
        "examples:\n  sipfarm subscriber add alice\n"
        "  pwgen | sipfarm subscriber add alice@farm.example.com\n"
        "  sipfarm subscriber add --file users.csv     (lines of user,password)\n"
        "Without an option for it, the password is asked for, or read from stdin. What was set\n"
        "with 'sipfarm subscriber set' stays.",
    )
    add.add_argument("aor", nargs="?", metavar="AOR", help="alice, alice@farm or sip:alice@farm")
    source = add.add_mutually_exclusive_group()
    source.add_argument(
        "--password",
        metavar="PASSWORD",
        help="warning: other users of this machine can see it in the list of processes",
    )
    source.add_argument(
        "--password-file", type=Path, metavar="PATH", help="its first line is the password"
    )
    source.add_argument(
        "--file", type=Path, metavar="CSV", help="add one for each line user,password"
    )
    arguments.add_operator_key(add)
    add.set_defaults(run=run_add)
    listing = arguments.add_verb(verbs, "list", "list subscribers in order of their names")
    arguments.add_page(listing)
    listing.set_defaults(run=run_list)
    subscriber_policy.add_verbs(verbs)
    remove = arguments.add_verb(verbs, "remove", "remove a subscriber and the bindings it has")
    remove.add_argument("aor", metavar="AOR")
    arguments.add_operator_key(remove)
    remove.set_defaults(run=run_remove)


def run_add(args: argparse.Namespace) -> int:
    """Store a subscriber, or all subscribers of a file."""
    if (args.aor is None) == (args.file is None):
        raise ConfigError("subscriber add: give an AOR, or --file CSV")
    config = arguments.known_config(args)
    if args.file is not None:
        wanted = [
            (arguments.aor_of(user, config), password)
            for user, password in passwords.from_table(args.file)
        ]
    else:
        aor = arguments.aor_of(args.aor, config)
        wanted = [(aor, passwords.one(aor, args.password, args.password_file))]
    key = arguments.operator_key(args, config)
    added: list[str] = []
    with daemon(args) as node:
        try:
            _add_all(node, key, wanted, added)
        except SipfarmError:
            if args.file is not None:
                output.note(
                    f"{len(added)} of {len(wanted)} were added; the rest can be added "
                    "again with the same file"
                )
            raise
    if args.json:
        output.show_json({"added": added})
    else:
        output.show(f"added {added[0] if len(added) == 1 else f'{len(added)} subscribers'}")
    return Exit.DONE


def run_list(args: argparse.Namespace) -> int:
    """Print names. Exit 4 if a node was silent that may hold more."""
    silent: dict[str, None] = {}
    with daemon(args) as node:
        for page in pages.read(args, lambda cursor, limit: _fetch(node, cursor, limit)):
            silent.update(dict.fromkeys(page.silent))
            if args.json:
                pages.show_json("aors", page)
                continue
            output.show("\n".join(table.printable(aor) for aor in page.rows))
            if not args.all:
                pages.note_more(page)
    return completeness(tuple(silent))


def run_remove(args: argparse.Namespace) -> int:
    """Remove a subscriber, or the bindings that an earlier removal left. Exit 1 if there was never
    such a subscriber."""
    config = arguments.known_config(args)
    aor = arguments.aor_of(args.aor, config)
    key = arguments.operator_key(args, config)
    with daemon(args) as node:
        before = node.ask(GetSubscriber(aor=aor), SubscriberInForce)
        if not before.version:
            output.note(f"{aor} is no subscriber of this farm")
            return Exit.NOT_FOUND
        if not before.removed:
            put(node, key, Subscriber(aor=aor, version=0, removed=True), before)
        if not remove_bindings(node, aor):
            raise UnavailableError(
                f"{aor} was removed, but its bindings stay until they expire; remove it again"
            )
    if args.json:
        output.show_json({"removed": [aor]})
    else:
        output.show(f"removed {aor}")
    return Exit.DONE


def _add_all(
    node: Daemon, key: OperatorKey, wanted: list[tuple[str, str]], added: list[str]
) -> None:
    told_s = time.monotonic()
    for aor, password in wanted:
        before = node.ask(GetSubscriber(aor=aor), SubscriberInForce)
        record = with_password(aor, password, version=0)
        if before.record is not None:
            record = replace(record, policy=before.record.policy)
        put(node, key, record, before)
        added.append(aor)
        if time.monotonic() - told_s > _PROGRESS_EVERY_S:
            told_s = time.monotonic()
            output.note(f"{len(added)} of {len(wanted)} added")


def _fetch(node: Daemon, cursor: str, limit: int) -> Page[str]:
    answer = node.ask(ListSubscribers(cursor=cursor, limit=limit), Subscribers)
    return Page(rows=answer.aors, cursor=answer.cursor, silent=answer.silent)
