"""What ops give at the edges: kinks, infinities, extreme dtypes, indices of no dims. The values are PyTorch's."""

import copy
import math

import numpy as np
import pytest
import thixo

F = thixo.nn.functional
INF, NAN = math.inf, math.nan


def slopes(f, at, dtype=thixo.float64):
    """The first and second derivative of f, elementwise."""
    x = thixo.tensor(at, dtype=dtype, requires_grad=True)
    (first,) = thixo.autograd.grad(f(x).sum(), x, create_graph=True)
    if not first.requires_grad:
        return first.tolist(), [0.0] * len(at)
    (second,) = thixo.autograd.grad(first.sum(), x)
    return first.tolist(), second.tolist()


def test_an_index_may_be_smaller_than_what_it_is_looked_up_in():
    rng = np.random.default_rng(0)
    for rank in range(1, 7):
        for _ in range(20):
            shape, dim = rng.integers(1, 5, rank), rng.integers(0, rank)
            smaller = [rng.integers(1, n + 1) for n in shape]
            smaller[dim] = rng.integers(1, 5)
            a, i = rng.normal(size=shape), rng.integers(0, shape[dim], smaller)
            part = a[tuple(slice(0, n) if d != dim else slice(None) for d, n in enumerate(smaller))]
            got = thixo.tensor(a).gather(int(dim), thixo.tensor(i))
            np.testing.assert_array_equal(got.numpy(), np.take_along_axis(part, i, dim))


@pytest.mark.parametrize("rank", [5, 6, 7, 8])
def test_rows_of_any_rank(rank):
    a = np.random.default_rng(0).normal(size=(2,) * (rank - 1) + (3,)).astype("f")
    x, e = thixo.tensor(a), np.exp(a)
    np.testing.assert_allclose(x.softmax(-1).numpy(), e / e.sum(-1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(x.logsumexp(-1).numpy(), np.log(e.sum(-1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(x.log_softmax(-1).numpy(), a - np.log(e.sum(-1, keepdims=True)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(thixo.var_mean(x, -1)[0].numpy(), a.var(-1, ddof=1), rtol=1e-4)


@pytest.mark.parametrize(
    ("f", "at", "first", "second"),
    [
        (thixo.relu, [0.0, 1.0, -1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]),
        (F.softplus, [0.0, -400.0], [0.5, math.exp(-400)], [0.25, math.exp(-400)]),
        (lambda x: F.softplus(x, 2.5, 3.0), [0.0], [0.5], [0.625]),
        (F.logsigmoid, [0.0, 2.0], [0.5, 0.11920292202211755], [-0.25, -0.10499358540350652]),
        (lambda x: F.binary_cross_entropy_with_logits(x, thixo.ones_like(x)), [0.0], [-0.5], [0.25]),
        (lambda x: x.norm(0.5), [0.0, 1.0], [0.0, 1.0], None),
    ],
)
def test_slopes_at_kinks(f, at, first, second):
    got = slopes(f, at)
    np.testing.assert_allclose(got[0], first, rtol=1e-12)
    if second is not None:
        np.testing.assert_allclose(got[1], second, rtol=1e-12)


def test_relu_keeps_nan():
    assert math.isnan(thixo.relu(thixo.tensor([NAN])).item())


def test_second_derivatives_keep_the_digits_of_numbers():
    for f, want in [
        (lambda x: x**0.3, lambda x: 0.3 * -0.7 * x**-1.7),
        (lambda x: (x / 0.3) ** 2, lambda x: 2 / 0.3**2),
        (lambda x: 0.3**x, lambda x: math.log(0.3) ** 2 * 0.3**x),
        (lambda x: F.softplus(x, 0.3), lambda x: 0.3 * math.exp(0.3 * x) / (1 + math.exp(0.3 * x)) ** 2),
    ]:
        np.testing.assert_allclose(slopes(f, [0.2])[1], [want(0.2)], rtol=1e-13)


def test_infinity_is_close_to_itself_alone():
    assert thixo.isclose(thixo.tensor([1.0, INF, INF]), thixo.tensor([INF, INF, -INF])).tolist() == [False, True, False]
    assert not thixo.allclose(thixo.tensor([1.0, 2.0]), thixo.tensor([1.0, INF]))
    small = [thixo.tensor([v], dtype=thixo.uint8) for v in (5, 6)]
    assert thixo.isclose(*small, atol=1).tolist() == [True]
    assert thixo.isclose(thixo.tensor([True, False]), thixo.tensor([True, True])).tolist() == [True, False]
    assert thixo.isclose(thixo.tensor([NAN]), thixo.tensor([NAN]), equal_nan=True).tolist() == [True]


def test_truths_as_indices_make_a_dim():
    x = thixo.arange(8).view(4, 2)
    assert x[False].shape == (0, 4, 2)
    assert x[True].shape == x[thixo.tensor(True)].shape == (1, 4, 2)
    assert x[:, True].shape == (4, 1, 2)
    assert x[True, :, True].shape == (1, 4, 2)
    assert x[True, :, thixo.tensor([0, 1, 1])].shape == (3, 4)
    assert thixo.tensor(5)[thixo.tensor(False)].shape == (0,)
    y = thixo.zeros(3)
    y[True] = 5
    y[thixo.tensor(False)] = 9
    assert y.tolist() == [5, 5, 5]


def test_a_tensor_of_one_integer_selects():
    x = thixo.zeros(3)
    x[thixo.tensor(1)].add_(5)
    assert x.tolist() == [0, 5, 0]
    assert thixo.arange(6).view(2, 3)[thixo.tensor(1), thixo.tensor(1)].item() == 4


def test_empty_lists_and_ranges_are_indices():
    x = thixo.arange(6).view(3, 2)
    assert x[[]].shape == (0, 2)
    assert x[range(2)].tolist() == [[0, 1], [2, 3]]
    assert x[[0, 1], range(2)].tolist() == [0, 3]


@pytest.mark.parametrize("key", [0, slice(0, 2), [0, 1]])
def test_what_is_assigned_may_have_leading_ones(key):
    x = thixo.zeros(3, 2)
    x[key] = thixo.tensor([[[7, 8]]])
    assert x[0].tolist() == [7, 8]


def test_clamp_of_integers_promotes():
    x = thixo.tensor([5, 20])
    assert x.clamp(0.5, 7.5).tolist() == [5, 7.5]
    assert x.clamp(0, 7).dtype == thixo.int64
    assert thixo.tensor([5.0], dtype=thixo.float16).clamp(max=2.5).dtype == thixo.float16


@pytest.mark.parametrize("dtype", ["int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("source", [thixo.int64, thixo.float32, thixo.bool, thixo.int32])
def test_sums_and_products_in_any_integer_type(dtype, source):
    t = getattr(thixo, dtype)
    x = thixo.tensor([[1, 2], [3, 100]]).to(source)
    for name in ("sum", "prod"):
        want = getattr(x.to(thixo.int64).numpy(), name)(1).astype(dtype)
        got = getattr(x, name)(1, dtype=t)
        assert got.dtype == t
        assert got.tolist() == want.tolist()
    assert thixo.tensor(3).to(source).sum(dtype=t).dtype == t


def test_sums_of_truths():
    x = thixo.tensor([[0.0, 2.0], [0.0, 0.0]])
    assert x.sum(1, dtype=thixo.bool).tolist() == [True, False]
    assert (x + 1).prod(1, dtype=thixo.bool).tolist() == [True, True]
    assert x.prod(1, dtype=thixo.bool).tolist() == [False, False]


def test_the_largest_unsigned_numbers():
    x = thixo.from_numpy(np.array([2**64 - 1] * 9, dtype=np.uint64))
    assert x.abs().numpy().tolist() == [2**64 - 1] * 9


def test_fill_passes_the_gradient_on():
    s = thixo.tensor(2.0, requires_grad=True)
    y = thixo.ones(3, requires_grad=True) * 1
    y[:2].fill_(s)
    y.sum().backward()
    assert s.grad.item() == 2


def test_t_reverses_all_dims():
    assert thixo.ones(2, 3, 4).T.shape == (4, 3, 2)


def test_arrays_beside_tensors():
    a, t = np.array([1.0, 2.0]), thixo.tensor([3.0, 4.0])
    for got in (t * a, a * t, t - -a * t + t, np.float64(2) * t, t == a):
        assert isinstance(got, thixo.Tensor)
    t += a
    assert isinstance(t, thixo.Tensor) and t.tolist() == [4, 6]
    assert (np.sqrt(4.0) * thixo.ones(2, requires_grad=True)).requires_grad


def test_a_truth_is_no_dim():
    x = thixo.arange(12.0).view(3, 4)
    with pytest.raises(TypeError, match="'dim' must be an int"):
        x.var(False)
    assert x.var(1, unbiased=False).tolist() == [1.25] * 3
    assert x.std(unbiased=True).item() == x.std().item()


def test_sizes_may_be_numpys_or_tensors():
    assert thixo.ones(6).view(np.int64(2), 3).shape == (2, 3)
    assert thixo.ones(6).view(thixo.tensor(2), -1).shape == (2, 3)


def test_pythons_types_are_dtypes_of_64_bits():
    assert thixo.zeros(1, dtype=float).dtype == thixo.float64
    assert thixo.zeros(1).to(int).dtype == thixo.int64
    assert thixo.zeros(1, dtype=complex).dtype == thixo.complex128
    assert thixo.tensor([np.float64(1), 2]).dtype == thixo.float64
    assert thixo.tensor([1.0]).dtype == thixo.float32
    assert thixo.Tensor([1, 2]).dtype == thixo.float32


def test_data_is_replaced():
    x, y = thixo.ones(2), thixo.zeros(3, dtype=thixo.float64)
    x.data = y
    assert x.dtype == thixo.float64 and x.shape == (3,)
    y.add_(1)
    assert x.tolist() == [1, 1, 1]


def test_tensors_are_containers():
    x = thixo.tensor([[1, 2], [3, 4]])
    assert 3 in x and 7 not in x
    with pytest.raises(TypeError, match="holds numbers"):
        "a" in x  # noqa: B015
    assert [row.tolist() for row in reversed(x)] == [[3, 4], [1, 2]]


def test_arguments_of_pytorch():
    x = thixo.tensor([-1.0, 2.0])
    assert F.relu(x, inplace=True) is x
    assert x.tolist() == [0, 2]
    assert thixo.zeros(3).scatter_(0, thixo.tensor([1]), value=5).tolist() == [0, 5, 0]
    assert thixo.device("cpu", 0) == copy.deepcopy(thixo.device("cpu"))


@pytest.mark.parametrize("dtype", [thixo.float16, thixo.bfloat16])
def test_numbers_are_compared_in_the_tensors_dtype(dtype):
    x = thixo.tensor([0.1], dtype=dtype)
    assert (x == 0.1).item() and (x <= 0.1).item() and not (x < 0.1).item() and not (x != 0.1).item()
    assert thixo.compile(lambda t: t == 0.1)(x).item()


def test_second_derivatives_keep_the_digits_of_numbers_when_compiled():
    x = thixo.tensor([0.2], dtype=thixo.float64, requires_grad=True)

    def second(x):
        (first,) = thixo.autograd.grad((x**0.3).sum(), x, create_graph=True)
        return thixo.autograd.grad(first.sum(), x)[0]

    np.testing.assert_allclose(thixo.compile(second)(x).item(), 0.3 * -0.7 * 0.2**-1.7, rtol=1e-13)


def test_forms_that_change_the_shape_in_place():
    x = thixo.arange(3).view(1, 3)
    y = x.squeeze(0)
    assert x.squeeze_(0) is x and x.shape == (3,)
    x.unsqueeze_(1).t_()[0, 0] = 7
    assert x.shape == (1, 3) and y[0].item() == 7
    with pytest.raises(ValueError, match="keeps its shape"):
        thixo.ones(1, 2, requires_grad=True).transpose_(0, 1)


def test_nonzero_as_a_tuple():
    a = np.array([[0, 1], [2, 0]])
    for got, want in zip(thixo.tensor(a).nonzero(as_tuple=True), a.nonzero(), strict=True):
        assert got.tolist() == want.tolist()
    assert thixo.tensor(5).nonzero(as_tuple=True)[0].tolist() == [0]
