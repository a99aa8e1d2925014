"""Marks two version needs of an ELF program as weak: weaken.py PROGRAM COPY.

The conformance runner was linked against glibc 2.38 and a libstdc++ of GCC 13; Debian 12 has 2.36
and GCC 12. It uses five symbols of them, which isoc23.c provides. A weak need that is not met is a
warning of the dynamic linker instead of a refusal.

Not here: a general patcher. 64-bit little-endian ELF only, which the runner is.

Source: System V ABI, gABI chapter 4 (sections); LSB Core, "Symbol Versioning" (Elfxx_Verneed).
"""

import struct
import sys

WEAK_NEEDS = (b"GLIBC_2.38", b"GLIBCXX_3.4.32")
SHT_GNU_VERNEED = 0x6FFFFFFE
VER_FLG_WEAK = 2


def main(program, copy):
    with open(program, "rb") as file:
        image = bytearray(file.read())
    read = struct.unpack_from
    table = read("<Q", image, 0x28)[0]
    size, count = read("<HH", image, 0x3A)
    sections = [read("<IIQQQQIIQQ", image, table + index * size) for index in range(count)]
    needs = next(section for section in sections if section[1] == SHT_GNU_VERNEED)
    names = sections[needs[6]][4]
    at = needs[4]
    weakened = 0
    for _ in range(needs[7]):
        _, versions, _, first, step = read("<HHIII", image, at)
        version = at + first
        for _ in range(versions):
            _, flags, _, name, following = read("<IHHII", image, version)
            start = names + name
            if bytes(image[start : image.index(0, start)]) in WEAK_NEEDS:
                struct.pack_into("<H", image, version + 4, flags | VER_FLG_WEAK)
                weakened += 1
            version += following
        at += step
    if weakened != len(WEAK_NEEDS):
        sys.exit(f"{program}: {weakened} of {len(WEAK_NEEDS)} version needs were found")
    with open(copy, "wb") as file:
        file.write(image)


main(sys.argv[1], sys.argv[2])
