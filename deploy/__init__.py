"""Packages the software, installs it, shows it and gives tests a real farm to break.

Five words:

- package: the Debian package of a node's software; the same tree makes the same bytes
  (`packaging/`).
- unit: a systemd unit of a node or of the operator's host (`systemd/`).
- lab: a farm of real nodes on one machine, each in a network namespace (`lab/`).
- test host: a whole Debian system on this machine, with a systemd of its own (`hosts/`).
- release: a version that operators may run, with the commit that its package is built from
  (`releases.py`).

The way of data:

    tree ─▶ packaging ─▶ .deb ─▶ hosts ─▶ tests/hosts
     │                    ▲       ▲
     ├▶ systemd ──────────┤       └─ releases: the .deb of the version before
     │      └─▶ lab ──────│─▶ tests/farm, story.py (the demo), `sipfarm lab`
     └▶ docs ─────────────┴─▶ docs/configuration.md, commands.md, metrics.md

People start the commands beside this file: `install`, `package`, `demo`, `test`, `apart`.
DESIGN.md tells the rest.
"""
