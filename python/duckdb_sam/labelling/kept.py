"""Bytes that are kept for a while: the latest ones that were asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)


class Kept(Generic[_K]):
    """The latest bytes by their keys, up to ``most`` together, one in any case. Any number of threads may use it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._total = 0
        self._held: OrderedDict[_K, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _K) -> bytes | None:
        """Return what was put, if it is still here."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: _K, data: bytes) -> None:
        """Keep bytes, and let go of those that nobody has asked for the longest."""
        with self._lock:
            self._total += len(data) - len(self._held.pop(key, b""))
            self._held[key] = data
            while len(self._held) > 1 and self._total > self._most:
                self._total -= len(self._held.popitem(last=False)[1])
