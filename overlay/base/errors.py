"""The project's one small tree of exceptions. Expected outcomes are values, not exceptions."""


class SipfarmError(Exception):
    """Anything that the project raises on purpose. Its text is written for the operator."""


class ConfigError(SipfarmError):
    """The configuration cannot be used. The text names the key and says what it should be."""


class IdentityError(SipfarmError):
    """A key, a certificate or a claimed node id is missing, broken or not the farm's."""


class ForgedError(SipfarmError):
    """A record does not bear the operator's signature, so no node takes it."""


class OutdatedError(SipfarmError):
    """A change came too late: a later version is in force."""


class ProtocolError(SipfarmError):
    """A peer or a client sent something that it may not send. Its connection is closed."""


class LimitError(SipfarmError):
    """A bound of `overlay.base.limits` was hit."""


class UnavailableError(SipfarmError):
    """The daemon, or enough of its peers, could not be reached within the deadline."""


class StorageError(SipfarmError):
    """The disk refused to read or write: it is full, read-only, or broken."""


class CorruptError(StorageError):
    """A file is not what SQLite wrote. The node has to set it aside."""


class DeviceError(StorageError):
    """Reading, writing or syncing failed. What the file contains now has to be checked."""
