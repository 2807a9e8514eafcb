"""What operations looks at: service levels, alerts and dashboards, all generated from code.

- service level: an indicator, a target and its windows, in `slo.toml`
- rule: a recording rule or an alert for Prometheus, made by `rules/`
- runbook: the page in docs/runbooks/ that says what to do about an alert
- board: a dashboard, declared in `boards/`; `dashboards/*.json` is made from it
- look: a program that draws the dashboards without a Grafana

    slo.toml -> rules/ -> Prometheus, Alertmanager
    boards/  -> dashboards/*.json, provisioning/ -> Grafana
"""
