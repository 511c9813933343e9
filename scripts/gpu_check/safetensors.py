"""Reading safetensors without packages: the small ones of the parity suite."""

import array
import json
import sys

CODES = {"F32": "f", "I32": "i", "U32": "I"}


def read(path):
    """Names and flat arrays of the tensors of a file whose elements have four bytes."""
    data = path.read_bytes()
    header_bytes = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + header_bytes])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in CODES:
            continue
        begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
        values = array.array(CODES[entry["dtype"]])
        values.frombytes(data[begin:end])
        if sys.byteorder == "big":
            values.byteswap()
        tensors[name] = values
    return tensors


def numbered(tensors, name):
    """`name.0`, `name.1`, ..., or `name` itself where there is one."""
    if name in tensors:
        return [tensors[name]]
    found = []
    while f"{name}.{len(found)}" in tensors:
        found.append(tensors[f"{name}.{len(found)}"])
    return found
