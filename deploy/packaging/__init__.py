"""Makes the Debian package; `deploy/package` calls it."""
