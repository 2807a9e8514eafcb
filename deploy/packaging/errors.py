"""The one exception that the making of a package raises."""


class PackagingError(Exception):
    """The package cannot be made; the text says why and is for people."""
