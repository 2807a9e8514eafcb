"""Recording rules, alerts, and whom Alertmanager tells: rules.yml and alertmanager.yml."""
