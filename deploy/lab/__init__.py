"""A farm of real nodes on one machine: `Lab` for tests and the demo, `sipfarm lab` for people."""

from deploy.lab.lab import Lab
from deploy.lab.layout import Host, LabError
from deploy.lab.phone import Phone, PhoneEvent

__all__ = ["Host", "Lab", "LabError", "Phone", "PhoneEvent"]
