"""Counts the calls of `fsync` and `fdatasync` that a process's SQLite library makes, and on which file.

No tracer is needed, so it measures on any Linux: the library reaches `fsync` through its import table, and the entry
there is replaced by a function that notes the file's name and then calls the real one. The notes are lines appended to
a file, one a call, written after the real call has returned. Where it cannot measure it raises.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from pathlib import Path

_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_JMPREL = 2, 5, 6, 7, 8, 23
_SYNCS = ("fsync", "fdatasync")
_SYNC_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, use_errno=True)
_kept: list[object] = []


def install(notes: str) -> None:
    """Begin to note every sync of this process's SQLite in the file `notes`.

    Raises:
        RuntimeError: the library does not import `fsync` in the way that is known here.
    """
    library = sys.modules["pysqlite3._sqlite3"].__file__
    assert library is not None
    entries = _entries(os.path.realpath(library))
    if not entries:
        raise RuntimeError(f"{library} imports neither fsync nor fdatasync: syncs cannot be counted")
    descriptor = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for name, address in entries:
        _replace(address, _counting(name, descriptor))


def _counting(name: str, notes: int) -> object:
    real = _SYNC_FUNCTION((name, ctypes.CDLL(None, use_errno=True)))

    def counted(descriptor: int) -> int:
        result = real(descriptor)
        os.write(notes, f"{name} {os.readlink(f'/proc/self/fd/{descriptor}')}\n".encode())
        return result

    return _SYNC_FUNCTION(counted)


def _replace(address: int, function: object) -> None:
    _kept.append(function)  # the library holds its address only
    page = address & ~(mmap.PAGESIZE - 1)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(page), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE) != 0:
        raise RuntimeError(f"the import table cannot be written: {os.strerror(ctypes.get_errno())}")
    pointer = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    ctypes.c_void_p.from_address(address).value = pointer


def _entries(library: str) -> list[tuple[str, int]]:
    """Find where the loaded library keeps the addresses of its syncs (ELF-64, relocations with addend)."""
    base = _base_of(library)
    content = Path(library).read_bytes()
    programs, size, count = struct.unpack_from("<Q", content, 32)[0], *struct.unpack_from("<HH", content, 54)
    dynamic: dict[int, int] = {}
    for number in range(count):
        kind, _, _, address, _, _, length = struct.unpack_from("<IIQQQQQ", content, programs + number * size)
        if kind == 2:  # PT_DYNAMIC, read from memory
            pairs = struct.iter_unpack("<QQ", ctypes.string_at(base + address, length))
            dynamic.update(dict(pairs))
    found: list[tuple[str, int]] = []
    for table, length in ((_DT_JMPREL, _DT_PLTRELSZ), (_DT_RELA, _DT_RELASZ)):
        if table in dynamic:
            found += _relocations(base, dynamic, _absolute(base, dynamic[table]), dynamic[length])
    return found


def _relocations(base: int, dynamic: dict[int, int], table: int, length: int) -> list[tuple[str, int]]:
    symbols, names = _absolute(base, dynamic[_DT_SYMTAB]), _absolute(base, dynamic[_DT_STRTAB])
    found: list[tuple[str, int]] = []
    for offset, info, _ in struct.iter_unpack("<QQq", ctypes.string_at(table, length)):
        (name_at,) = struct.unpack("<I", ctypes.string_at(symbols + (info >> 32) * 24, 4))
        name = ctypes.string_at(names + name_at).decode("ascii", "replace") if info >> 32 else ""
        if name in _SYNCS:
            found.append((name, base + offset))
    return found


def _absolute(base: int, address: int) -> int:
    return address if address >= base else base + address  # the C libraries differ in whether they add the base


def _base_of(library: str) -> int:
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and os.path.realpath(parts[5]) == library:
            return int(parts[0].split("-")[0], 16)
    raise RuntimeError(f"{library} is not loaded")
