"""How the C library hands out memory."""

import ctypes

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE = 3 * 2**20  # bytes


def map_large_blocks() -> bool:
    """Let each block of at least 3 MiB have pages of its own, which go back when it is freed.

    By default glibc takes blocks of up to 32 MiB from one heap. What is kept from there, be it a
    few bytes, divides the gap that a large block leaves, so that the next one of its size no
    longer fits, and a process can come to hold several times what it uses. The price is that new
    pages are filled with zeros.

    Returns:
        bool: Whether this C library can be told so; glibc can.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGE))
