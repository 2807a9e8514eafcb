"""Makes the sinks that the configuration names.

In: the configuration. Out: sinks. Counterpart: `overlay.billing.exporter`. A sink's library is
loaded only if the sink is configured, as most nodes need none of them.
"""

from pathlib import Path

from overlay.billing.sinks.files import FileSink
from overlay.billing.sinks.sink import Sink
from overlay.config.config import Config


def configured(config: Config) -> list[Sink]:
    """One sink for each configured place."""
    settings = config.export
    sinks: list[Sink] = [
        FileSink(
            Path(settings.directory),
            kind,
            config.node.name,
            rotate_s=settings.rotate_s,
            rotate_bytes=settings.rotate_mib << 20,
        )
        for kind in settings.files
    ]
    if settings.postgresql:
        from overlay.billing.sinks.postgresql import PostgresqlSink

        sinks.append(PostgresqlSink(settings.postgresql, settings.postgresql_table))
    if settings.webhook:
        from overlay.billing.sinks.webhook import WebhookSink

        sinks.append(WebhookSink(settings.webhook, Path(settings.webhook_secret_file)))
    if settings.kafka.brokers:
        from overlay.billing.sinks.kafka import KafkaSink

        sinks.append(KafkaSink(settings.kafka))
    return sinks
