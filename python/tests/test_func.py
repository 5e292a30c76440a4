"""Transforms of functions from Python: values by formulas, trees of arguments, nesting."""

import numpy as np
import pytest
import thixo
from thixo import func, nn


def close(got, want):
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=1e-5, atol=1e-6)


def test_grad_of_trees_and_argnums():
    def f(p, x, scale=1.0):
        return (p["w"] * x + p["b"]).sum() * scale

    p = {"w": thixo.tensor([1.0, 2.0]), "b": thixo.tensor([0.5, 0.5])}
    x = thixo.tensor([3.0, 4.0])
    g = func.grad(f)(p, x)
    assert list(g) == ["w", "b"]
    close(g["w"], [3, 4])
    g, gx = func.grad(f, argnums=(0, 1))(p, x, scale=2.0)
    close(gx, [2, 4])
    close(g["b"], [2, 2])


def test_grad_and_value_with_aux():
    g, (value, aux) = func.grad_and_value(lambda x: ((x * x).sum(), {"x": x + 1}), has_aux=True)(thixo.ones(2))
    close(g, [2, 2])
    assert value.item() == 2
    close(aux["x"], [2, 2])
    g, aux = func.grad(lambda x: ((x * x).sum(), "note"), has_aux=True)(thixo.ones(1))
    assert aux == "note"


def test_vmap_dims():
    a, b = thixo.randn(2, 5), thixo.randn(5)
    close(func.vmap(lambda x, y: x * y, in_dims=(1, 0), out_dims=1)(a, b), a.numpy() * b.numpy())
    close(func.vmap(lambda x, y: x + y, in_dims=(0, None))(a, b), a.numpy() + b.numpy())
    close(func.vmap(lambda x: x.sum(), in_dims=1, chunk_size=2)(a), a.numpy().sum(0))
    out = func.vmap(lambda d: {"twice": d["x"] * 2}, in_dims=({"x": 0},))({"x": a})
    close(out["twice"], a.numpy() * 2)
    with pytest.raises(ValueError, match="in_dims"):
        func.vmap(lambda x, y: x, in_dims=(0,))(a, b)


def test_per_example_gradients_of_a_module():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    params = {n: p.detach() for n, p in net.named_parameters()}
    x = thixo.randn(5, 3)

    def loss(p, x):
        return func.functional_call(net, p, (x,)).sum()

    per_example = func.vmap(func.grad(loss), in_dims=(None, 0))(params, x)
    for i in range(5):
        for n, g in func.grad(loss)(params, x[i]).items():
            close(per_example[n][i], g.numpy())
    net(x).sum().backward()
    for n, p in net.named_parameters():
        close(per_example[n].sum(0), p.grad.numpy())


def test_functional_call_puts_everything_back():
    net = nn.Linear(2, 1)
    weight = net.weight
    func.functional_call(net, {"weight": thixo.zeros(1, 2)}, (thixo.ones(2),))
    assert net.weight is weight
    with pytest.raises(ValueError, match="no parameter or buffer 'wieght'"):
        func.functional_call(net, {"weight": thixo.zeros(1, 2), "wieght": weight}, (thixo.ones(2),))
    assert net.weight is weight


def test_jacobians_and_hessian_agree():
    def f(x):
        return thixo.stack([x[0] * x[1], x[0].sin(), x[1] ** 3])

    x = thixo.tensor([0.5, 2.0], dtype=thixo.float64)
    want = np.array([[2.0, 0.5], [np.cos(0.5), 0], [0, 12]])
    close(func.jacrev(f)(x), want)
    close(func.jacfwd(f)(x), want)
    close(func.hessian(lambda x: (x**3).sum())(x), np.diag([3.0, 12.0]))


@pytest.mark.parametrize("jacobian", [func.jacrev, func.jacfwd])
def test_jacobians_have_the_forms_of_results_and_arguments(jacobian):
    v = thixo.tensor([1.0, 2.0])
    a, b = jacobian(lambda x: (x * 2, x.sum()))(v)
    close(a, [[2, 0], [0, 2]])
    close(b, [1, 1])
    named = jacobian(lambda x: {"square": x * x, "rest": [x.sum()]})(v)
    close(named["square"], [[2, 0], [0, 4]])
    close(named["rest"][0], [1, 1])
    by_args = jacobian(lambda x, y: (x * y, x), argnums=(0, 1))(v, v + 2)
    close(by_args[0][0], [[3, 0], [0, 4]])
    close(by_args[0][1], [[1, 0], [0, 2]])
    close(by_args[1][1], [[0, 0], [0, 0]])
    by_tree = jacobian(lambda p: p["w"] * p["x"])({"w": v, "x": v + 2})
    close(by_tree["x"], [[1, 0], [0, 2]])


def test_hessians_have_the_blocks_between_arguments():
    x, y = thixo.tensor([1.0, 2.0]), thixo.tensor([3.0, 4.0])
    h = func.hessian(lambda x, y: (x * x * y).sum(), argnums=(0, 1))(x, y)
    close(h[0][0], [[6, 0], [0, 8]])
    close(h[0][1], [[2, 0], [0, 4]])
    close(h[1][0], [[2, 0], [0, 4]])
    close(h[1][1], [[0, 0], [0, 0]])
    h = func.hessian(lambda p: (p["x"] ** 2 * p["y"]).sum())({"x": x, "y": y})
    close(h["y"]["x"], [[2, 0], [0, 4]])
    close(h["x"]["x"], [[6, 0], [0, 8]])


def test_grad_wants_one_tensor():
    v = thixo.ones(2)
    for f in (lambda x: (x.sum(), x), lambda x: {"loss": x.sum()}, lambda x: 3.0):
        with pytest.raises(ValueError, match="must return one tensor"):
            func.grad(f)(v)
        with pytest.raises(ValueError, match="must return one tensor"):
            func.grad_and_value(f)(v)


def test_vjp_and_jvp():
    def f(x, y):
        return x * y, x + y

    x, y = thixo.tensor([1.0, 2.0]), thixo.tensor([3.0, 4.0])
    (p, _), pullback = func.vjp(f, x, y)
    close(p, [3, 8])
    gx, gy = pullback((thixo.ones(2), thixo.ones(2)))
    close(gx, [4, 5])
    close(gy, [2, 3])
    (p, _), (dp, ds) = func.jvp(f, (x, y), (thixo.ones(2), thixo.zeros(2)))
    close(dp, [3, 4])
    close(ds, [1, 1])


def test_transforms_nest():
    x = thixo.randn(3, dtype=thixo.float64)
    third = func.vmap(func.grad(func.grad(func.grad(lambda v: v**4))))
    close(third(x), 24 * x.numpy())
    mixed = func.jvp(func.grad(lambda v: (v**3).sum()), (x,), (thixo.ones(3, dtype=thixo.float64),))[1]
    close(mixed, 6 * x.numpy())


def test_errors_come_through():
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        func.vmap(func.grad(broken))(thixo.ones(2))
    with pytest.raises(ValueError, match="one element"):
        func.grad(lambda x: x * 2)(thixo.ones(2))
    with pytest.raises(IndexError, match="argnums has 3"):
        func.grad(lambda x: x, argnums=3)(thixo.ones(2))


def test_a_tensor_that_outlives_its_transform_says_so():
    kept = []

    def keep(x):
        kept.append(x)
        return (x * x).sum()

    func.grad(keep)(thixo.tensor([1.0, 2.0]))
    func.vmap(keep)(thixo.ones(2, 3))
    func.jvp(keep, (thixo.ones(2),), (thixo.ones(2),))
    uses = (lambda t: t + 1, lambda t: t.add_(1), lambda t: t.sum(), lambda t: t[0])
    for t in kept:
        for use in uses:
            with pytest.raises(ValueError, match="after that transform ended"):
                use(t)
        with pytest.raises(ValueError):
            t.tolist()
        assert "tensor" in repr(t)


def test_places_of_extremes_under_vmap_and_jvp():
    x = thixo.arange(24.0).reshape(2, 3, 4)
    assert func.vmap(lambda a: a.argmax(-1))(x).tolist() == [[3, 3, 3]] * 2
    values, places = func.vmap(lambda a: tuple(a.min(-1)))(x)
    assert values.tolist() == [[0, 4, 8], [12, 16, 20]] and places.tolist() == [[0, 0, 0]] * 2
    value, slope = func.jvp(lambda a: a.max(-1).values, (x,), (thixo.ones(2, 3, 4),))
    assert value.tolist() == [[3, 7, 11], [15, 19, 23]] and slope.tolist() == [[1, 1, 1]] * 2


def test_out_dims():
    x, shared = thixo.ones(4, 2, 3), thixo.zeros(5)
    two = func.vmap(lambda a: (a * 2, shared), out_dims=(1, None))
    assert two(x)[0].shape == (2, 4, 3) and two(x)[1].shape == (5,)
    assert func.vmap(lambda a: {"y": a}, out_dims={"y": -1})(x)["y"].shape == (2, 3, 4)
    assert func.vmap(lambda a: a, out_dims=(2,), chunk_size=3)(x).shape == (2, 3, 4)
    for out_dims, words in (((0, 0), "2 entries for 3 results"), (3, "out_dims has 3"), (None, "examples differ")):
        with pytest.raises((ValueError, IndexError), match=words):
            func.vmap(lambda a: (a, a, a), out_dims=out_dims)(x)


def test_gradients_of_a_pullback_must_fit():
    _, pullback = func.vjp(lambda x: x**2, thixo.ones(2))
    with pytest.raises(ValueError, match=r"result 0 has shape \[2\]") as e:
        pullback(thixo.ones(3))
    assert "test_func.py:" in str(e.value)


def test_stack_module_state_makes_an_ensemble():
    models = [nn.Linear(2, 3) for _ in range(4)]
    params, buffers = func.stack_module_state(models)
    x = thixo.randn(5, 2)
    out = func.vmap(lambda p: func.functional_call(models[0], p, (x,)))(params)
    for i, m in enumerate(models):
        close(out[i], m(x).detach().numpy())
    assert buffers == {}


def test_out_under_vmap():
    x = thixo.randn(4, 3)

    def into(a):
        return thixo.add(a, 1, out=a * 0)

    close(func.vmap(into)(x), x.numpy() + 1)
    with pytest.raises(ValueError, match="writes a value of this transform"):
        func.vmap(lambda a: thixo.add(a, 1, out=thixo.empty(3)))(x)
    with pytest.raises(ValueError, match="writes a value of this transform"):
        func.vmap(lambda a: thixo.logsumexp(a, 0, out=thixo.empty(())))(x)
