"""The base of all sections of the configuration.

In: nothing. Out: `Section`. Counterparts: the other files of this folder.
"""

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all sections: a setting that is not declared is an error."""
