"""Runs a farm of real nodes on one machine, each in a network namespace.

Tests and the demo use the class `Lab`; people use the command `sipfarm lab`.
"""

from deploy.lab.lab import Lab
from deploy.lab.layout import Host, LabError
from deploy.lab.phone import Phone, PhoneEvent

__all__ = ["Host", "Lab", "LabError", "Phone", "PhoneEvent"]
