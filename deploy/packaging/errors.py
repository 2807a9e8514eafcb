"""The one exception of making a package."""


class PackagingError(Exception):
    """The package cannot be made; the text says why and is for people."""
