"""Bytes and time: signatures, keys, hashes and the texts that carry them. Never does input or output."""
