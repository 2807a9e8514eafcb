"""Finds settings that do not go together, in a configuration whose types and ranges are right.

In: one section. Out: a line for each mistake, which begins with the setting's name. Counterparts:
`config/values.py` has the rules for single settings; `config.py` collects the lines of both and
refuses the file with all of them at once.
"""

from overlay.config.sections import (
    DnsUpdateSection,
    ExportSection,
    NodeSection,
    OverlaySection,
    ProxySection,
)


def node(section: NodeSection) -> list[str]:
    """Mistakes in the node's addresses."""
    if section.address6 == section.address:
        return ["node.address6: must not be the same as node.address"]
    return []


def overlay(section: OverlaySection) -> list[str]:
    """Mistakes in the quorums."""
    if section.write_quorum + section.read_quorum <= section.replicas:
        return [
            "overlay: write_quorum + read_quorum must exceed replicas, or a read misses a write"
        ]
    return []


def proxy(section: ProxySection) -> list[str]:
    """Mistakes in the ports and in the digest algorithms."""
    found = []
    if not section.digest_algorithms:
        found.append("proxy.digest_algorithms: at least one is needed")
    used = [section.port, *section.further_ports.values()]
    if len(used) != len(set(used)):
        found.append("proxy: two transports have the same port")
    return found


def dns_update(section: DnsUpdateSection, farm_name: str) -> list[str]:
    """Mistakes in the zone that is to have the farm's records."""
    if section.zone and not f".{farm_name}".endswith(f".{section.zone}"):
        return [f"dns_update.zone: {farm_name} is not in {section.zone!r}"]
    return []


def export(section: ExportSection) -> list[str]:
    """Mistakes in the places that billing records go to."""
    found = []
    if len(set(section.files)) != len(section.files):
        found.append("export.files: the same twice")
    kafka = section.kafka
    if kafka.sasl == "PLAIN" and not kafka.tls:
        found.append("export.kafka.sasl: PLAIN shows the password to all on the way without tls")
    if bool(kafka.sasl) != bool(kafka.user):
        found.append("export.kafka: sasl and user go together")
    return found
