"""The rendered kamailio.cfg, and what a worker reads back from it."""

import re
from pathlib import Path

import pytest

from overlay.base.errors import ConfigError
from overlay.config import config as configuration
from overlay.config.config import Config
from proxy.counters import COUNTERS
from proxy.render import connections_max, derive_key, render, render_tls
from proxy.settings import Settings

SECRET = "ab" * 32


def _config(**sections: dict[str, object]) -> Config:
    data: dict[str, object] = {
        "farm": {"name": "farm.test"},
        "node": {"name": "n1", "address": "192.0.2.1", "run_dir": "/run/x"},
    }
    data.update(sections)
    return configuration.parse(data, "test")


def _defines(text: str) -> dict[str, str]:
    return dict(re.findall(r"^#!define (\S+) (.*)$", text, re.MULTILINE))


def test_a_worker_reads_back_the_configuration() -> None:
    config = _config(proxy={"port": 5080})
    settings = Settings.from_defines(_defines(render(config, SECRET)).__getitem__)
    assert settings.config == config
    assert settings.route_key.hex() == derive_key(SECRET, "record-route")
    assert settings.record_route_host == "farm.test:5080"
    assert settings.own_hosts == {"farm.test", "n1.farm.test", "192.0.2.1", "[192.0.2.1]"}
    assert settings.node_uri("n2", "tcp") == "sip:n2.farm.test:5080;transport=tcp"


def test_the_farms_name_is_advertised_with_its_port_only_if_it_is_not_5060() -> None:
    assert "listen=udp:192.0.2.1:5060 advertise farm.test\n" in render(_config(), SECRET)
    text = render(_config(proxy={"port": 5080}), SECRET)
    assert "listen=tcp:192.0.2.1:5080 advertise farm.test:5080\n" in text


def test_tls_is_served_with_a_file_for_its_module_and_not_without() -> None:
    config = _config(proxy={"tls_port": 5061, "tls_ca": "/etc/ca.pem"})
    text = render(config, SECRET, Path("/etc/x/tls.cfg"))
    assert "listen=tls:192.0.2.1:5061 advertise farm.test:5061\n" in text
    assert 'modparam("tls", "config", "/etc/x/tls.cfg")\n' in text
    assert "ca_list = /etc/ca.pem\n" in render_tls(config)
    without = render(config, SECRET)
    assert "tls:" not in without
    assert "tls.so" not in without
    settings = Settings.from_defines(_defines(without).__getitem__)
    assert settings.config.proxy.tls_port == 0


def test_websocket_needs_its_modules_and_messages_without_length() -> None:
    text = render(_config(proxy={"ws_port": 8080}), SECRET)
    assert "listen=tcp:192.0.2.1:8080 advertise farm.test:8080\n" in text
    assert 'loadmodule "websocket.so"\n' in text
    assert "tcp_accept_no_cl=yes\n" in text
    both = render(_config(proxy={"ws_port": 8080, "wss_port": 8443}), SECRET, Path("/x/tls.cfg"))
    assert "listen=tls:192.0.2.1:8443 advertise farm.test:8443\n" in both
    plain = render(_config(proxy={"wss_port": 8443}), SECRET)
    assert "websocket" not in plain.replace("websockets_", "")
    assert "tcp_accept_no_cl=no\n" in plain


@pytest.mark.parametrize(
    "proxy",
    [
        {"tls_port": 5060},
        {"ws_port": -1},
        {"ws_port": 70_000},
        {"ws_port": 8080, "wss_port": 8080},
        {"ws_origins": ["phone.example.net"]},
    ],
)
def test_ports_and_origins_are_checked(proxy: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        _config(proxy=proxy)


def test_an_ipv6_address_is_bracketed() -> None:
    text = render(_config(node={"name": "n1", "address": "2001:db8::1"}), SECRET)
    assert "listen=udp:[2001:db8::1]:5060 " in text


def test_a_second_address_is_listened_on_as_well() -> None:
    node = {"name": "n1", "address": "192.0.2.1", "address6": "2001:db8::1"}
    config = _config(node=node, proxy={"ws_port": 8080})
    text = render(config, SECRET)
    for socket in ("udp:192.0.2.1:5060", "tcp:[2001:db8::1]:5060", "tcp:[2001:db8::1]:8080"):
        assert f"listen={socket} " in text
    assert "dns_try_ipv6=yes\n" in text
    assert "[2001:db8::1]" in Settings.from_config(config, b"").own_hosts
    assert "dns_try_ipv6=no\n" in render(_config(), SECRET)


@pytest.mark.parametrize("address6", ["192.0.2.9", "::", "fe80::1%eth0", "x"])
def test_a_second_address_must_be_one_that_phones_reach(address6: str) -> None:
    with pytest.raises(ConfigError, match="address6"):
        _config(node={"name": "n1", "address": "192.0.2.1", "address6": address6})


def test_the_farms_secret_itself_is_not_in_the_file() -> None:
    text = render(_config(), SECRET)
    assert SECRET not in text
    assert derive_key(SECRET, "record-route") in text
    assert derive_key(SECRET, "digest nonce") != derive_key(SECRET, "record-route")


def test_every_counter_is_declared_and_has_a_name_that_kamailio_can_take() -> None:
    text = render(_config(), SECRET)
    for name in COUNTERS:
        assert f'modparam("counters", "script_counter", "{name}")' in text
        assert "." not in name


def test_defines_that_are_not_ours_are_refused() -> None:
    with pytest.raises(ConfigError):
        Settings.from_defines(lambda _name: "")


def test_connections_leave_room_for_calls_over_udp() -> None:
    assert connections_max(_config(proxy={"shared_memory_mib": 82})) == 1_024
    assert connections_max(_config(proxy={"shared_memory_mib": 205, "wss_port": 8443})) == 1_024
    assert connections_max(_config(proxy={"shared_memory_mib": 8})) == 1
    text = render(_config(proxy={"shared_memory_mib": 82}), SECRET)
    assert "tcp_max_connections=1024\n" in text


def test_a_port_stands_in_record_route_only_if_phones_would_not_guess_it() -> None:
    usual = Settings.from_config(_config(proxy={"tls_port": 5061, "wss_port": 443}), b"")
    assert usual.route_end("tls") == ("farm.test", ";transport=tls")
    assert usual.route_end("wss") == ("farm.test", ";transport=ws")
    other = Settings.from_config(_config(proxy={"tls_port": 5071, "port": 5070}), b"")
    assert other.route_end("tls") == ("farm.test:5071", ";transport=tls")
    assert other.route_end("tcp") == ("farm.test:5070", ";transport=tcp")
    assert other.route_end("sctp") == other.route_end("udp") == ("farm.test:5070", "")
    assert other.node_uri("n2", "tls") == "sip:n2.farm.test:5071;transport=tls"
