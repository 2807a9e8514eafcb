"""Whatever strangers send, everything in proxy/ that reads text takes time in proportion to it.

The tests find by themselves what reads text: each regular expression, and each function with a
parameter that is text. A new one whose parameters they cannot make fails them until it is listed
here, either with a value for the parameter or with the reason why nobody's text gets to it.
"""

import ast
import contextlib
import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

import proxy
from overlay.base.limits import SIP_FIELD_CHARS_MAX
from overlay.config import config as configuration
from overlay.records.settings import FarmSettings, Gateway, Numbering, Rule, Trunk
from overlay.records.subscriber import Policy
from overlay.records.targets import Target
from proxy import contacts, digest
from proxy.call_note import CallNote
from proxy.digest import Credentials
from proxy.route_token import Flow
from proxy.routes import reply, request
from proxy.routes.auth import AuthenticatedSubscriber
from proxy.settings import Settings
from proxy.trunk_choice import TrunkTable
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon
from tests.unit.proxy.fake_ksr import FakeKsr, Message

CHARS: Final = 64 << 10
SECONDS_MAX: Final = 0.001 * (CHARS >> 10)
"""A millisecond a KiB; what is linear takes a hundredth of that, mostly."""
TRIES: Final = 3
"""A machine that does other things at the same time is no fault of the parser's."""
ALPHABET: Final = 'a0 \t\n"\\<>,;:=@?%[.-\0é'
"""What the grammars of SIP tell apart, and what stands for all the rest."""
HARMLESS: Final = (ValueError, UnicodeError)
"""A refusal."""
TEXTS: Final = tuple(
    ("".join(pair) * CHARS)[:CHARS]
    for pair in [*ALPHABET, *product(ALPHABET, repeat=2)]
    if len(set(pair)) == len(pair)
)

NOT_MET: Final = {
    "proxy.digest._hash": "its algorithm is known; `response` calls it",
    "proxy.pinged_flows.write": "writes what Kamailio's table has",
    "proxy.render.render": "the operator's configuration",
    "proxy.render.derive_key": "the operator's configuration",
    "proxy.render._template": "a file of this package",
    "proxy.settings._route_ends": "the operator's configuration",
    "proxy.ping_round.PingRound": "addresses of registered phones",
    "proxy.kept_targets.KeptTargets": "keys of `redis_key`",
    "proxy.overlay_client.OverlayClient": "passes text on",
    "proxy.source_quota.SourceQuota": "addresses of packets",
    "proxy.worker.RateLimitedLog": "passes text on",
    "proxy.worker.Worker": "names of counters",
    "proxy.routes.fields.VariableGroup": "names of variables",
}
"""What no text of strangers gets to, or nothing is read in, and why."""
BEFORE: Final = {
    "proxy.digest.parse": ("", "Digest ", 'Digest username="', "Digest realm=", "Digest realm"),
    "proxy.digest._parameters": ("", 'a="', "a=b,", "a=", "a"),
    "proxy.contacts.parse": ("", "<sip:", "sip:", '"', "sip:a@b;", '<sip:a@b>;x="', "<sip:a@b>;q="),
    "proxy.contacts._contact": ("", "<sip:", "sip:", '"', "<sip:a@b>;q="),
    "proxy.route_token.parameters_of": ("", "sip:a@b;"),
    "proxy.sip_uri.host_of": ("", "sip:", "sip:a@"),
}
"""Beginnings without which a function does not get to the rest of the text."""


def _settings() -> Settings:
    data = {"farm": {"name": "farm.test"}, "node": {"name": "n1", "address": "192.0.2.1"}}
    data["proxy"] = {"trusted_peers": ["192.0.2.99", "peer.test"]}  # type: ignore[dict-item]
    return Settings.from_config(configuration.parse(data, "test"), b"k" * 32)


TRUNK: Final = Trunk(name="t", gateways=(Gateway(host="192.0.2.7"),), prefixes=("+",))
NUMBERING: Final = Numbering(country="49", rules=(Rule(match="0", strip=1, prepend="+49"),))
FARM: Final = FarmSettings(trunks=(TRUNK,), numbering=NUMBERING)
INSTANCES: Final[Mapping[str, object]] = {
    "proxy.trunk_choice.TrunkTable": TrunkTable.of(FARM),
    "proxy.settings.Settings": _settings(),
    "proxy.routes.auth.AuthenticatedSubscriber": AuthenticatedSubscriber("a", Policy(), False),
}
FLOW: Final = Flow("n1", "udp", "192.0.2.9", 5060)
TARGET: Final = Target(uri="sip:a@192.0.2.9")
VALUES: Final[Mapping[str, Callable[[str], object]]] = {
    "str": lambda text: text,
    "str | None": lambda text: text,
    "list[str]": lambda text: [text],
    "collections.abc.Sequence[str]": lambda text: (text,),
    "collections.abc.Collection[str]": lambda text: (text,),
    "dict[str, str]": lambda text: dict.fromkeys("sudkflet", text),
    "collections.abc.Mapping[str, tuple[float, str]]": lambda text: {text: (1.0, text)},
    "tuple[float, str]": lambda text: (1.0, text),
    "object": lambda text: text,
    "bytes": lambda _: b"k" * 32,
    "int": lambda _: 1,
    "float": lambda _: 1.0,
    "bool": lambda _: False,
    "re.Pattern[str]": lambda _: contacts._BETWEEN_COMMAS,
    "proxy.call_note.CallNote": lambda text: CallNote(subscriber=text, dialled=text),
    "proxy.digest.Credentials": lambda text: Credentials(
        *(text, text, text, text, text, "MD5", "auth", text, text)
    ),
    "proxy.route_token.Flow": lambda _: FLOW,
    "proxy.route_token.Flow | None": lambda _: FLOW,
    "proxy.settings.Settings": lambda _: INSTANCES["proxy.settings.Settings"],
    "tuple[overlay.records.targets.Target, ...]": lambda _: (TARGET, TARGET),
    "overlay.records.settings.Numbering": lambda _: NUMBERING,
    "overlay.records.settings.Trunk": lambda _: TRUNK,
    "overlay.records.settings.Gateway": lambda _: TRUNK.gateways[0],
    "collections.abc.Iterable[overlay.records.settings.Rule]": lambda _: NUMBERING.rules,
    "collections.abc.Iterable[overlay.records.settings.Gateway]": lambda _: TRUNK.gateways,
}
"""By a parameter's type: a value for it, made of the text where it can be."""


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(proxy.__path__, "proxy."):
        if found.name != "proxy.main":
            # That one is for Kamailio alone, and reads nothing.
            yield importlib.import_module(found.name)


def _type_of(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if not isinstance(annotation, type) or hasattr(annotation, "__args__"):
        return str(annotation)
    if annotation.__module__ == "builtins":
        return annotation.__name__
    return f"{annotation.__module__}.{annotation.__qualname__}"


def _reads_text(function: Callable[..., object]) -> bool:
    """Whether it has text among its parameters. What has a worker reads messages by itself, and is
    called by `test_a_message_takes_a_millisecond_a_kib_at_most`."""
    types = [_type_of(each) for each in inspect.signature(function).parameters.values()]
    return any(re.search(r"\bstr\b", each) for each in types) and "proxy.worker.Worker" not in types


def _functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """All functions of proxy/ that text is given to, by their names."""
    for module in _modules():
        for name, member in vars(module).items():
            full = f"{module.__name__}.{name}"
            if getattr(member, "__module__", "") != module.__name__ or full in NOT_MET:
                continue
            if inspect.isfunction(member) and _reads_text(member):
                yield full, member
            if inspect.isclass(member) and not getattr(member, "_is_protocol", False):
                yield from _methods(full, member)


def _methods(full: str, owner: type) -> Iterator[tuple[str, Callable[..., object]]]:
    for name, method in vars(owner).items():
        if inspect.isfunction(method) and not name.startswith("__") and _reads_text(method):
            assert full in INSTANCES, f"{full} reads text: list it in INSTANCES or NOT_MET"
            yield f"{full}.{name}", getattr(INSTANCES[full], name)


FUNCTIONS: Final = dict(_functions())


def _arguments(name: str, text: str) -> tuple[list[object], dict[str, object]]:
    plain: list[object] = []
    named: dict[str, object] = {}
    for parameter in inspect.signature(FUNCTIONS[name]).parameters.values():
        kind = _type_of(parameter)
        assert kind in VALUES, f"{name} has a {kind}: list it in VALUES, or the function in NOT_MET"
        value = VALUES[kind](text)
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        elif parameter.kind is parameter.VAR_POSITIONAL:
            plain += [value, value]
        else:
            plain.append(value)
    return plain, named


def _seconds(call: Callable[[], object]) -> float:
    began_s = time.process_time()
    with contextlib.suppress(HARMLESS):
        call()
    return time.process_time() - began_s


def _assert_linear(name: str, text: str, call: Callable[[], object]) -> None:
    taken_s = _seconds(call)
    for _ in range(TRIES - 1):
        if taken_s > SECONDS_MAX:
            taken_s = _seconds(call)
    assert taken_s <= SECONDS_MAX, f"{name}: {taken_s:.3f} s for 64 KiB that begin {text[:24]!r}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_a_millisecond_a_kib_at_most(name: str) -> None:
    for text in TEXTS:
        for beginning in BEFORE.get(name, ("",)):
            whole = beginning + text
            plain, named = _arguments(name, whole)
            _assert_linear(name, whole, lambda: FUNCTIONS[name](*plain, **named))  # noqa: B023


def _uses_of_patterns() -> dict[str, set[str]]:
    """The regular expressions of proxy/, and the methods by which each of them is used. One that is
    handed to a function is taken for one that is matched at a place."""
    found: dict[str, set[str]] = {}
    for module in _modules():
        tree = ast.parse(Path(inspect.getsourcefile(module) or "").read_text())
        named = [name for name, value in vars(module).items() if isinstance(value, re.Pattern)]
        uses = {name: set[str]() for name in named}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id in named:
                    uses[node.value.id].add(node.attr)
                elif node.value.id == "re" and not node.attr.isupper():
                    assert node.attr in ("compile", "Pattern"), f"{module.__name__}: re.{node.attr}"
        found |= {f"{module.__name__}.{name}": each or {"match"} for name, each in uses.items()}
        compiled = sum(
            isinstance(node, ast.Attribute) and ast.unparse(node) == "re.compile"
            for node in ast.walk(tree)
        )
        assert compiled == len(named), f"{module.__name__} has a regular expression without a name"
    return found


USES: Final = _uses_of_patterns()


@pytest.mark.parametrize("name", USES)
def test_a_regular_expression_takes_a_millisecond_a_kib_at_most(name: str) -> None:
    module, _, member = name.rpartition(".")
    pattern: re.Pattern[str] = vars(importlib.import_module(module))[member]
    for method, text in product(USES[name], TEXTS):
        arguments = ("", text) if method == "sub" else (text,)
        _assert_linear(name, text, lambda: getattr(pattern, method)(*arguments))  # noqa: B023


class Asked(dict[str, list[str]]):
    """The header fields of a message, and the names that somebody asked for."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        super().__init__(fields)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


MESSAGES: Final[Mapping[str, dict[str, Any]]] = {
    "INVITE": {},
    "REGISTER": {"method": "REGISTER", "request_uri": "sip:farm.test", "to_uri": "sip:a@farm.test"},
    "BYE": {"method": "BYE", "to_tag": "tt"},
    "CANCEL": {"method": "CANCEL"},
    "200": {"status": 200, "to_tag": "tt"},
}


@pytest.mark.parametrize("authenticate", [True, False])
@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_takes_a_millisecond_a_kib_at_most(
    kind: str,
    authenticate: bool,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    make_worker: Callable[..., Worker],
) -> None:
    """Each header field that the routes ask for, as long as one may be."""
    worker = make_worker(proxy={"authenticate": authenticate}, billing={"enabled": True})
    daemon.located(TARGET)
    route = reply.route if kind == "200" else request.route
    usual = Asked({"Contact": ["<sip:a@192.0.2.10>"], "Route": ["<sip:farm.test;lr;s=0>"]})

    def play() -> None:
        kamailio.next_hop = None
        route(worker)

    kamailio.message = Message(**MESSAGES[kind], fields=usual)
    play()
    assert usual.names
    for name in usual.names:
        for text in TEXTS:
            kamailio.message.fields = {**usual, name: [text[: SIP_FIELD_CHARS_MAX // 2]]}
            _assert_linear(f"{kind}, {name}", text, play)


def test_a_pattern_that_tries_again_and_again_would_be_noticed() -> None:
    slow = re.compile(r"([a-z]+)\s*=")
    text = "a" * (CHARS // 8)
    with pytest.raises(AssertionError):
        _assert_linear("slow", text, lambda: slow.findall(text))


def test_what_is_found() -> None:
    """The tests above find what is known to read the text of strangers."""
    assert {"proxy.digest.parse", "proxy.contacts.parse", "proxy.sip_uri.host_of"} <= set(FUNCTIONS)
    assert {"proxy.digest._PARAMETER", "proxy.contacts._BETWEEN_COMMAS"} <= set(USES)
    assert digest.parse('Digest username="a", realm="b", nonce="c", uri="d", response="e"')
