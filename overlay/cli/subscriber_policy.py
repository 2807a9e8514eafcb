"""`sipfarm subscriber show|set|block|unblock`: shows and changes what one subscriber may do.

In: the command line. Out: the subscriber's record with another policy, signed with the operator's
key; or the policy in force, without the secrets. Counterparts: `overlay.records.subscriber.Policy`;
`proxy/routes/policy.py`, which enforces it.
"""

import argparse
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from overlay.base.errors import ConfigError, UnavailableError
from overlay.base.limits import (
    BINDINGS_PER_AOR_MAX,
    CALLS_OF_SUBSCRIBER_MAX,
    POLICY_ENTRIES_MAX,
    URI_CHARS_MAX,
)
from overlay.cli import arguments, output, table
from overlay.cli.ask_daemon import Daemon, daemon
from overlay.cli.exits import Exit
from overlay.cli.subscriber_change import put, remove_bindings
from overlay.config.config import Config
from overlay.control.operator_messages import GetSubscriber, SubscriberInForce
from overlay.records.subscriber import Policy, Subscriber

_RATE_MAX: Final = 1_000_000


def add_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs to `sipfarm subscriber`."""
    show = arguments.add_verb(verbs, "show", "show what a subscriber may do")
    show.add_argument("aor", metavar="AOR")
    show.set_defaults(run=run_show)
    change = arguments.add_verb(
        verbs,
        "set",
        "change what a subscriber may do; what is not given stays",
        "examples:\n  sipfarm subscriber set alice --contacts-max 2 --calls-per-second-max 5\n"
        "  sipfarm subscriber set alice --calls-max 2\n"
        "  sipfarm subscriber set alice --destinations +49,0,bob@farm.example.com\n"
        "  sipfarm subscriber set alice --identities sales,+4930123456\n"
        "  sipfarm subscriber set alice --destinations ''     (everywhere again)",
    )
    change.add_argument("aor", metavar="AOR")
    change.add_argument(
        "--contacts-max",
        type=_number(BINDINGS_PER_AOR_MAX),
        metavar="N",
        help="bindings at a time; 0: as many as proxy.contacts_max allows",
    )
    change.add_argument(
        "--calls-per-second-max",
        type=_number(_RATE_MAX),
        metavar="N",
        help="new calls that each node takes in a second; 0: no limit",
    )
    change.add_argument(
        "--calls-max",
        type=_number(CALLS_OF_SUBSCRIBER_MAX),
        metavar="N",
        help="calls that the subscriber makes at a time, counted by the whole farm; one more is "
        "answered 403, emergency calls are not; 0: no limit",
    )
    change.add_argument(
        "--destinations",
        type=_entries,
        metavar="A,B,…",
        help="what numbers or addresses that may be called begin with; '': everything",
    )
    change.add_argument(
        "--identities",
        type=_entries,
        metavar="A,B,…",
        help="other addresses-of-record that may be called as; '': none",
    )
    arguments.add_operator_key(change)
    change.set_defaults(run=run_set)
    block = arguments.add_verb(
        verbs, "block", "let a subscriber neither register nor call, and remove its bindings"
    )
    unblock = arguments.add_verb(verbs, "unblock", "undo 'block'")
    for verb, blocked in ((block, True), (unblock, False)):
        verb.add_argument("aor", metavar="AOR")
        arguments.add_operator_key(verb)
        verb.set_defaults(run=run_block, blocked=blocked)


def run_show(args: argparse.Namespace) -> int:
    """Print the policy in force. Exit 1 if there is no such subscriber."""
    config = arguments.known_config(args)
    with daemon(args) as node:
        record = _in_force(node, arguments.aor_of(args.aor, config)).record
    return _not_found(args.aor) if record is None else _show(args, record)


def run_set(args: argparse.Namespace) -> int:
    """Change parts of the policy."""
    config = arguments.known_config(args)
    changes: dict[str, object] = {
        "contacts_max": args.contacts_max,
        "calls_per_second_max": args.calls_per_second_max,
        "calls_max": args.calls_max,
        "destinations": args.destinations,
        "identities": _identities(args.identities, config),
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if not changes:
        raise ConfigError("subscriber set: give what to change; see --help")
    return _change(args, config, changes)


def run_block(args: argparse.Namespace) -> int:
    """Block or unblock. Blocking again removes bindings that an earlier try left."""
    return _change(args, arguments.known_config(args), {"blocked": args.blocked})


def _change(args: argparse.Namespace, config: Config | None, changes: dict[str, object]) -> int:
    aor = arguments.aor_of(args.aor, config)
    key = arguments.operator_key(args, config)
    with daemon(args) as node:
        before = _in_force(node, aor)
        if before.record is None:
            return _not_found(aor)
        policy = replace(before.record.policy, **changes)
        record = replace(before.record, policy=policy)
        if record != before.record:
            put(node, key, record, before)
        if changes.get("blocked") and not remove_bindings(node, aor):
            raise UnavailableError(
                f"{aor} is blocked, but its bindings stay until they expire; block it again"
            )
    return _show(args, record)


def _in_force(node: Daemon, aor: str) -> SubscriberInForce:
    return node.ask(GetSubscriber(aor=aor), SubscriberInForce)


def _not_found(aor: str) -> int:
    output.note(f"{aor} is no subscriber of this farm")
    return Exit.NOT_FOUND


def _show(args: argparse.Namespace, record: Subscriber) -> int:
    policy: Policy = record.policy
    if args.json:
        output.show_json({"aor": record.aor, **msgspec.structs.asdict(policy)})
        return Exit.DONE
    rows = {
        "subscriber": record.aor,
        "blocked": "yes" if policy.blocked else "no",
        "contacts_max": str(policy.contacts_max or "the farm's"),
        "calls_per_second_max": str(policy.calls_per_second_max or "no limit"),
        "calls_max": str(policy.calls_max or "no limit"),
        "destinations": ", ".join(policy.destinations) or "everywhere",
        "identities": ", ".join(policy.identities) or "its own",
    }
    width = max(map(len, rows))
    output.show("\n".join(f"{name:<{width}}  {table.printable(rows[name])}" for name in rows))
    return Exit.DONE


def _identities(given: tuple[str, ...] | None, config: Config | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    return tuple(arguments.aor_of(each, config) for each in given)


def _number(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not 0 <= number <= most:
            raise argparse.ArgumentTypeError(f"must be from 0 to {most}")
        return number

    return read


def _entries(text: str) -> tuple[str, ...]:
    entries = tuple(entry.strip() for entry in text.split(",") if entry.strip())
    if len(entries) > POLICY_ENTRIES_MAX:
        raise argparse.ArgumentTypeError(f"at most {POLICY_ENTRIES_MAX}")
    if any(len(entry) > URI_CHARS_MAX or not entry.isprintable() for entry in entries):
        raise argparse.ArgumentTypeError("not a number or an address")
    return entries
