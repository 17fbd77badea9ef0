"""Memory that argon2 computes in, kept from one hash to the next: what would be 19 MiB of new pages for each.

To fetch those pages, clear them and give them back costs a tenth of a hash and more, and `malloc` keeps them for every
thread that ever hashed. Here argon2's own code asks for its memory through the callbacks that its interface has for
that; it wipes the memory before it says that it is done, as ever. Results are the same to the byte. It decides nothing
about passwords, and counts nobody: one hash at a time may use one memory, and who owns it sees to that. Obeys RFC 9106
and docs/decisions/0013-kept-memory.md.
"""

from __future__ import annotations

import mmap
from typing import Any, Final

from argon2 import low_level
from argon2.exceptions import HashingError

SALT_BYTES: Final = 16
TAG_BYTES: Final = 32
#: argon2.h: ARGON2_OK and ARGON2_MEMORY_ALLOCATION_ERROR.
_OK: Final = 0
_NO_MEMORY: Final = -22
_KIB: Final = 1024
#: Large pages are tried for: a hash reads all over its memory, and misses the page tables' cache less with them.
_LARGE_PAGE: Final = 2 * _KIB * _KIB
#: What tells that a binding, or a system, has not what is needed here.
_UNFIT: Final = (AttributeError, KeyError, TypeError, ValueError, OSError, MemoryError, SystemError, HashingError)


class KeptMemory:
    """The memory of one argon2id hash at a time.

    Args:
        time_cost: passes.
        memory_cost: KiB.
        parallelism: lanes, each in a thread of its own.

    Raises:
        AttributeError, KeyError, TypeError, OSError, MemoryError: this system or binding has no such memory; `opened`
            asks first.
    """

    def __init__(self, time_cost: int, memory_cost: int, parallelism: int) -> None:
        ffi: Any = low_level.ffi
        capacity = -(-memory_cost * _KIB // _LARGE_PAGE) * _LARGE_PAGE
        self._region = mmap.mmap(-1, capacity + _LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        _ask_for_large_pages(self._region)
        # Both are looked at for as long as this memory is: a region in use cannot be closed.
        self._held = ffi.from_buffer(self._region)
        first = int(ffi.cast("uintptr_t", self._held))
        start = ffi.cast("uint8_t *", first + -first % _LARGE_PAGE)

        def lend(place: Any, size: int) -> int:
            if size > capacity:
                return _NO_MEMORY
            place[0] = start
            return 0

        self._lend = ffi.callback("int(uint8_t **, size_t)", lend)
        self._take = ffi.callback("void(uint8_t *, size_t)", _stays)
        self._out = ffi.new(f"uint8_t[{TAG_BYTES}]")
        members = {
            "version": low_level.ARGON2_VERSION,
            "out": self._out,
            "outlen": TAG_BYTES,
            "t_cost": time_cost,
            "m_cost": memory_cost,
            "lanes": parallelism,
            "threads": parallelism,
            "allocate_cbk": self._lend,
            "free_cbk": self._take,
        }
        self._context = ffi.new("argon2_context *", members)

    def tag(self, password: bytes, salt: bytes) -> bytes:
        """Compute the 32 bytes of argon2id; other threads run meanwhile.

        Raises:
            argon2.exceptions.HashingError: argon2 refuses (a salt of under 8 bytes), or asks for more memory.
        """
        ffi: Any = low_level.ffi
        given, salted = ffi.from_buffer("uint8_t[]", password), ffi.from_buffer("uint8_t[]", salt)
        context = self._context
        context.pwd, context.pwdlen, context.salt, context.saltlen = given, len(password), salted, len(salt)
        try:
            found = low_level.core(context, low_level.Type.ID.value)
            if found != _OK:
                raise HashingError(low_level.error_to_str(found))
            return bytes(ffi.buffer(self._out))
        finally:
            context.pwd = context.salt = ffi.NULL
            ffi.buffer(self._out)[:] = bytes(TAG_BYTES)

    def give_back(self) -> None:
        """Let the system have the pages until the next hash; not while one runs."""
        self._region.madvise(mmap.MADV_DONTNEED)


def opened(time_cost: int, memory_cost: int, parallelism: int) -> KeptMemory | None:
    """Open a memory; None where argon2 cannot be given one, or computes another tag with it than without."""
    try:
        memory = KeptMemory(time_cost, memory_cost, parallelism)
        return memory if _agrees() else None
    except (*_UNFIT, low_level.ffi.error):
        return None


def _agrees() -> bool:
    """Compare with argon2-cffi's own way, at the least costs; microseconds."""
    password, salt = b"a password", b"salt of 16 bytes"
    plain = low_level.hash_secret_raw(password, salt, 1, 8, 1, TAG_BYTES, low_level.Type.ID)
    return KeptMemory(1, 8, 1).tag(password, salt) == plain


def _ask_for_large_pages(region: mmap.mmap) -> None:
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is None:
        return
    try:
        region.madvise(advice)
    except OSError:
        return  # a system without them: as right, only slower


def _stays(_place: Any, _size: int) -> None:
    """Argon2 has wiped it and goes."""
