"""The peers: what a provider would run instead, each started for real in namespaces of its own."""
