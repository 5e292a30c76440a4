"""The operators of Tensor: both sides, in place, on integers, and the conversions to Python's numbers."""

import operator

import numpy as np
import pytest
import thixo

INTS = [7, -7, 5, 0]
BINARY = {
    "add": operator.iadd,
    "sub": operator.isub,
    "mul": operator.imul,
    "floordiv": operator.ifloordiv,
    "mod": operator.imod,
    "pow": operator.ipow,
    "and_": operator.iand,
    "or_": operator.ior,
    "xor": operator.ixor,
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dtype", [thixo.int64, thixo.int32, thixo.float32])
def test_both_sides_and_in_place(name, dtype):
    if dtype == thixo.float32 and name in ("and_", "or_", "xor"):
        return
    op = getattr(operator, name)
    x, number = thixo.tensor(INTS, dtype=dtype), 3
    got, want = op(x, number), [op(v, number) for v in INTS]
    assert got.dtype == dtype and got.tolist() == want
    divisors = thixo.tensor([2, 3, 1], dtype=dtype)  # nothing is divided by zero
    assert op(5, divisors).tolist() == [op(5, v) for v in (2, 3, 1)]
    alias, view = x, x[1:]
    x = BINARY[name](x, number)
    assert x is alias and x.dtype == dtype and x.tolist() == want and view.tolist() == want[1:]


def test_floor_division_rounds_down_and_keeps_integers():
    t = thixo.tensor([7, -7, 5])
    assert (t // 2).tolist() == [3, -4, 2] and (t // 2).dtype == thixo.int64
    assert (20 // t).tolist() == [2, -3, 4]
    assert (t.float() // 2).tolist() == [3.0, -4.0, 2.0]
    f = thixo.compile(lambda x: (x + 1) // 2)
    for _ in range(2):
        assert f(t).tolist() == [4, -3, 3]
    assert t.__rfloordiv__(20).tolist() == [2, -3, 4] and t.__rmod__(20).tolist() == [6, -1, 0]


def test_inversion_is_of_bits():
    assert (~thixo.tensor([1, 2])).tolist() == [-2, -3]
    assert (~thixo.tensor([True, False])).tolist() == [False, True]
    assert (~thixo.tensor([1], dtype=thixo.uint8)).tolist() == [254]
    for op in (operator.inv, lambda x: x & 1, lambda x: x | x):
        with pytest.raises(TypeError):
            op(thixo.tensor([1.0]))


def test_bools_with_bools_and_numbers():
    a, b = thixo.tensor([True, True, False]), thixo.tensor([True, False, False])
    c = a
    c &= b
    assert c is a and a.tolist() == [True, False, False] and a.dtype == thixo.bool
    c |= True
    assert a.tolist() == [True] * 3
    c ^= b
    assert a.tolist() == [False, True, True] and (True & b).tolist() == b.tolist()
    assert (b & 3).dtype == thixo.int64


def test_in_place_never_changes_the_dtype():
    x = thixo.tensor([1, 2])
    for op in (operator.itruediv, operator.iadd, operator.ifloordiv, operator.imod):
        with pytest.raises((RuntimeError, TypeError)):
            op(x, 1.5)
    assert x.dtype == thixo.int64 and x.tolist() == [1, 2]


def test_gradients_flow_through_in_place_operators():
    x = thixo.tensor([3.0], requires_grad=True)
    y = x * 1
    y **= 2
    y %= 5
    y.sum().backward()
    assert y.tolist() == [4] and x.grad.tolist() == [6]


def test_what_is_no_number_is_left_to_the_other_side():
    t = thixo.ones(1)
    for op in (operator.floordiv, operator.ifloordiv, operator.mod, operator.ipow, operator.iand):
        with pytest.raises(TypeError):
            op(t, "x")
    with pytest.raises(TypeError):
        pow(t, 2, 3)


def test_integers_beyond_int64():
    most = 2**64 - 1
    t = thixo.from_numpy(np.array([most, 2**63, 5], dtype=np.uint64))
    assert t.tolist() == [most, 2**63, 5] and t[0].item() == most
    assert int(t[0]) == most and operator.index(t[1]) == 2**63 and float(t[0]) == float(most) and bool(t[0])
    assert str(t[0]) == f"tensor({most}, dtype=thixo.uint64)"
    assert int(thixo.tensor(1e30, dtype=thixo.float64)) == int(1e30)
    with pytest.raises(OverflowError):
        int(thixo.tensor(float("inf")))


def test_lengths_beyond_int32():
    for n in (2**31, 2**32 + 5):
        assert len(thixo.zeros(1).expand(n)) == n
