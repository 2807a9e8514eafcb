"""The daemon's one small tree of exceptions; expected outcomes are values, not exceptions."""


class SipfarmError(Exception):
    """Anything that the project raises on purpose; its text is for the operator."""


class ConfigError(SipfarmError):
    """The configuration cannot be used; the text names the key and what it should be."""


class IdentityError(SipfarmError):
    """A key, certificate or claimed id is missing, broken or not the farm's."""


class ForgedError(SipfarmError):
    """A record does not bear the operator's signature; it is not taken."""


class OutdatedError(SipfarmError):
    """A change came too late: a later version is in force."""


class ProtocolError(SipfarmError):
    """A peer or a client sent what it may not; its connection is closed."""


class LimitError(SipfarmError):
    """A bound of `overlay.base.limits` was hit."""


class UnavailableError(SipfarmError):
    """The daemon, or enough of its peers, could not be reached within the deadline."""


class StorageError(SipfarmError):
    """The disk refused: full, read-only, or broken."""


class CorruptError(StorageError):
    """A file is not what SQLite wrote; it has to be set aside."""


class DeviceError(StorageError):
    """Reading, writing or syncing failed; what the file has now must be made sure of."""
