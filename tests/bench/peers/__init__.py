"""Runs the peers, which a provider would use instead of the farm, for real, in own namespaces."""
