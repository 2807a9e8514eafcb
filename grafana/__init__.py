"""What operations looks at: service levels, alerts, dashboards; all generated from `slo.toml`."""
