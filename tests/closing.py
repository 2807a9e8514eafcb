"""Closes at the end of a `with` block what a test has opened."""

import abc
from types import TracebackType
from typing import Self


class Closing(abc.ABC):
    """Is closed at the end of its `with`, however that ends."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave nothing of it behind."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
