#!/usr/bin/env python3
"""Writes npy.npz and npy_compressed.npz beside itself: what NumPy writes, for src/formats/npy_test.cpp.

Every array holds 0, 1, 2, ... in its logical order (bool: 0, 1, 0, ...; complex: with -1 times that as imaginary part).
"""

import pathlib

import numpy as np

here = pathlib.Path(__file__).parent
arrays = {}
for code in ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1"]:
    arrays[code] = np.arange(6).reshape(2, 3).astype("<" + code)
arrays["b1"] = (np.arange(6) % 2 == 1).reshape(2, 3)
for code in ["c8", "c16"]:
    arrays[code] = ((1 - 1j) * np.arange(6)).reshape(2, 3).astype("<" + code)
arrays["fortran"] = np.asfortranarray(np.arange(24, dtype="<i4").reshape(2, 3, 4))
arrays["big"] = np.arange(5).astype(">f4")
arrays["big_complex"] = ((1 - 1j) * np.arange(3)).astype(">c16")
arrays["scalar"] = np.array(0, dtype="<f8")
arrays["empty"] = np.zeros((0, 3), dtype="<i8")
np.savez(here / "npy.npz", **arrays)
np.savez_compressed(here / "npy_compressed.npz", a=np.zeros(3))
