"""Dashboards as code: what each shows is declared here, and what Grafana reads is made from it.

In: the declarations of `boards/`, the figures that sipfarm declares. Out: `dashboards/*.json`, by
`python -m grafana`. Counterparts: a Grafana, which reads `provisioning/`; `look`, which draws the
dashboards without one. DESIGN.md tells the way.
"""
