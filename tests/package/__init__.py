"""Tests the Debian package: built once and taken apart, and installed on a machine of its own."""
