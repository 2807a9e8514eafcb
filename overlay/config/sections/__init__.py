"""The sections of the node's configuration: every setting's type, range, default and sentence.

- section: a struct for a table of farm.toml; the names in TOML, in Python and in the documentation
  are the same
- sentence: the docstring below a setting, which docs/configuration.md shows
- range: a type of `config/values.py`

    section.py -> node.py, overlay.py, proxy.py, billing.py, dns.py -> Config, docs/configuration.md

`deploy/docs` makes the document of these files. `config/checks.py` says which values do not go
together.
"""

from overlay.config.sections.billing import BillingSection, ExportSection, KafkaSection
from overlay.config.sections.dns import DnsSection, DnsUpdateSection
from overlay.config.sections.node import (
    EnrollmentSection,
    FarmSection,
    MetricsSection,
    NodeSection,
    StorageSection,
)
from overlay.config.sections.overlay import OverlaySection
from overlay.config.sections.proxy import MediaSection, ProxySection
from overlay.config.sections.section import Section

__all__ = [
    "BillingSection",
    "DnsSection",
    "DnsUpdateSection",
    "EnrollmentSection",
    "ExportSection",
    "FarmSection",
    "KafkaSection",
    "MediaSection",
    "MetricsSection",
    "NodeSection",
    "OverlaySection",
    "ProxySection",
    "Section",
    "StorageSection",
]
