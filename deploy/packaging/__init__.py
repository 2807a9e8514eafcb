"""Makes the Debian package of a node's software; `deploy/package` calls it."""
