"""Serialises state made of dataclasses, numbers and arrays: the form follows the fields, whose digest tells versions.

An array stands as type, shape and bytes.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator
from hashlib import blake2b
from typing import Any, Final, get_args, get_type_hints

import numpy as np

DIGEST: Final = 8
_PACKAGE: Final = "dfmon."
_DTYPE: Final = re.compile(r"[<|][biufSU]\d{1,3}")


def fields_digest(owner: type, leaves: Collection[type] = ()) -> bytes:
    """Digest, DIGEST bytes, of all fields of a type and of those below it; `leaves` have a codec of their own."""
    schema = "\n".join(field_lines(owner, set(), leaves))
    return blake2b(schema.encode(), digest_size=DIGEST).digest()


def field_lines(owner: Any, seen: set[Any], leaves: Collection[type] = ()) -> Iterator[str]:
    """One line for each field of a dataclass or struct of dfmon and of those below it, each type once."""
    if owner in seen:
        return
    seen.add(owner)
    if getattr(owner, "__module__", "").startswith(_PACKAGE) and owner not in leaves:
        is_record = dataclasses.is_dataclass(owner) or hasattr(owner, "__struct_fields__")
        for name, hint in get_type_hints(owner).items() if is_record else ():
            yield f"{owner.__name__}.{name}: {hint}"
            yield from field_lines(hint, seen, leaves)
    for argument in get_args(owner):
        yield from field_lines(argument, seen, leaves)


def encode_array(value: Any) -> tuple[str, tuple[int, ...], bytes]:
    """The hook of an encoder for arrays."""
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"{type(value).__name__} in a state")
    return value.dtype.str, value.shape, value.tobytes()


def decode_array(_: Any, stored: tuple[str, list[int], bytes]) -> Any:
    """The hook of a decoder for arrays. Raises ValueError or TypeError for what is none."""
    dtype, shape, data = stored
    if _DTYPE.fullmatch(dtype) is None:  # numpy would parse it as Python
        raise ValueError(f"an array of {dtype[:20]!r}")
    return np.frombuffer(data, dtype).reshape(shape)
