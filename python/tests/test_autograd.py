"""Gradients from Python: custom functions, hooks, modes, checkpointing, checks, anomalies."""

import gc
import weakref

import pytest
import thixo
from thixo import autograd, nn

F64 = {"dtype": thixo.float64, "requires_grad": True}


class SinCos(autograd.Function):
    """Two results, an argument that is no tensor, an input without a gradient."""

    @staticmethod
    def forward(ctx, x, scale, mask):
        ctx.save_for_backward(x, mask)
        ctx.scale = scale
        return (x * scale).sin() * mask, (x * scale).cos()

    @staticmethod
    def backward(ctx, g, h):
        x, mask = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False, False)
        d = g * mask * (x * ctx.scale).cos() - h * (x * ctx.scale).sin()
        return d * ctx.scale, None, None


def test_a_function_with_all_it_may_have():
    x = thixo.tensor([0.3, 0.7, 1.1], **F64)
    mask = thixo.tensor([1.0, 0.0, 1.0], dtype=thixo.float64)
    s, c = SinCos.apply(x, 2.0, mask)
    assert s.requires_grad and c.requires_grad
    (s + c).sum().backward()
    want = 2 * (mask * (2 * x).cos() - (2 * x).sin())
    assert thixo.allclose(x.grad, want.detach())
    assert autograd.gradcheck(lambda v: SinCos.apply(v, 2.0, mask), [x])
    assert autograd.gradgradcheck(lambda v: SinCos.apply(v, 2.0, mask), [x])


def test_functions_of_inplace_style_and_of_no_gradient():
    class Step(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            above = x > 0
            ctx.mark_non_differentiable(above)
            return x.clone(), above

        @staticmethod
        def backward(ctx, g, _):
            return g * 3

    x = thixo.tensor([-1.0, 2.0], requires_grad=True)
    y, above = Step.apply(x)
    assert not above.requires_grad and above.tolist() == [False, True]
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_absent_gradients_are_zeros_or_none():
    seen = []

    def make(materialize):
        class Two(autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.set_materialize_grads(materialize)
                return x * 1, x * 2

            @staticmethod
            def backward(ctx, g, h):
                seen.append(h)
                return g

        return Two

    for materialize in (True, False):
        x = thixo.ones(2, requires_grad=True)
        make(materialize).apply(x)[0].sum().backward()
    assert seen[0].tolist() == [0, 0] and seen[1] is None


def test_errors_in_backward_come_through():
    class Broken(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise KeyError("mine")

    y = Broken.apply(thixo.ones(1, requires_grad=True))
    with pytest.raises(KeyError, match="mine"):
        y.sum().backward()


def test_grad_reports_unused_inputs():
    x, y = thixo.ones(1, requires_grad=True), thixo.ones(1, requires_grad=True)
    with pytest.raises(ValueError):
        autograd.grad((x * 2).sum(), [x, y])
    assert autograd.grad((x * 2).sum(), [x, y], allow_unused=True)[1] is None
    assert autograd.grad((x * 2).sum(), [x, y], materialize_grads=True)[1].tolist() == [0]
    g = autograd.grad([x * 2, x * 3], x, grad_outputs=[thixo.ones(1), thixo.ones(1)])
    assert g[0].tolist() == [5]


def test_backward_twice_needs_the_graph():
    x = thixo.ones(1, requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4]
    with pytest.raises(ValueError, match="retain_graph"):
        y.backward()


def test_hooks_change_and_see_gradients():
    x = thixo.ones(2, requires_grad=True)
    y = x * 2
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 10)
    order = []
    x.register_post_accumulate_grad_hook(lambda t: order.append(t.grad.tolist()))
    y.sum().backward()
    assert seen == [[1, 1]] and x.grad.tolist() == [20, 20] and order == [[20, 20]]
    handle.remove()
    (x * 2).sum().backward()
    assert seen == [[1, 1]]
    with y.register_hook(lambda g: g) as h:
        assert h is not None


def test_hooks_of_leaves_and_what_hooks_may_return():
    x = thixo.ones(2, requires_grad=True)
    handle = x.register_hook(lambda g: g * 10)
    assert autograd.grad((x * 2).sum(), x)[0].tolist() == [20, 20]
    (x * 2).sum().backward(inputs=x)
    assert x.grad.tolist() == [20, 20]
    handle.remove()
    for wrong, kind in ((thixo.ones(3), ValueError), (thixo.ones(2, dtype=thixo.float64), TypeError), (1.0, TypeError)):
        with x.register_hook(lambda g, r=wrong: r), pytest.raises(kind, match="hook"):
            (x * 2).sum().backward()


def test_backward_towards_some_leaves_only():
    x, y = thixo.ones(2, requires_grad=True), thixo.ones(2, requires_grad=True)
    (x * y).sum().backward(inputs=[y])
    assert x.grad is None and y.grad.tolist() == [1, 1]


def test_a_view_made_inside_no_grad_is_not_written_outside():
    x = thixo.ones(2, requires_grad=True)
    y = x * 1
    with thixo.no_grad():
        v = y[:1]
    with pytest.raises(ValueError, match="inside no_grad"):
        v.mul_(5)
    with pytest.raises(ValueError, match="inside no_grad"):
        v[0] = 5
    assert y.tolist() == [1, 1]


def test_a_hook_is_let_go():
    class Watched:
        def __call__(self, g):
            return None

    hook = Watched()
    gone = weakref.ref(hook)
    x = thixo.ones(1, requires_grad=True)
    x.register_hook(hook)
    del hook
    gc.collect()
    assert gone() is not None
    del x
    gc.collect()
    assert gone() is None


def test_modes_nest_and_come_back_after_errors():
    with pytest.raises(RuntimeError), thixo.no_grad():
        with thixo.enable_grad():
            assert thixo.is_grad_enabled()
        raise RuntimeError
    assert thixo.is_grad_enabled()
    with thixo.set_grad_enabled(False):
        assert not thixo.is_grad_enabled()
    assert thixo.is_grad_enabled()

    @thixo.inference_mode()
    def f(x):
        return x * 2

    assert not f(thixo.ones(1, requires_grad=True)).requires_grad

    class C:
        @thixo.no_grad()
        def g(self, x):
            return x * 2

    assert not C().g(thixo.ones(1, requires_grad=True)).requires_grad


def test_a_mode_as_decorator_is_for_its_function_alone():
    @thixo.set_grad_enabled(False)
    def f():
        return thixo.is_grad_enabled()

    assert thixo.is_grad_enabled() and not f() and thixo.is_grad_enabled()
    assert thixo.no_grad(f).__name__ == "f"


def test_a_mode_holds_inside_a_generator_only():
    @thixo.no_grad()
    def g():
        try:
            got = yield thixo.is_grad_enabled()
        except KeyError:
            got = "caught"
        assert not thixo.is_grad_enabled()
        yield got
        return 5

    for action, want in ((lambda it: it.send(3), 3), (lambda it: it.throw(KeyError("k")), "caught")):
        it = g()
        assert next(it) is False and thixo.is_grad_enabled()
        assert action(it) == want and thixo.is_grad_enabled()
        with pytest.raises(StopIteration) as end:
            next(it)
        assert end.value.value == 5 and thixo.is_grad_enabled()


def test_checkpoint_recomputes_with_the_same_numbers():
    from thixo.utils.checkpoint import checkpoint

    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Tanh())
    x = thixo.randn(8, 4, requires_grad=True)
    calls = []

    def run(v):
        calls.append(1)
        return net(v)

    grads = []
    for through in (lambda: run(x), lambda: checkpoint(run, x, use_reentrant=False)):
        thixo.manual_seed(3)
        net.zero_grad()
        x.grad = None
        through().sum().backward()
        grads.append([x.grad, *[p.grad for p in net.parameters()]])
    assert len(calls) == 3
    assert all(thixo.equal(a, b) for a, b in zip(*grads, strict=True))


COMPLEX_FUNCTIONS = {
    "parts": lambda a, z, m: (z.real().sin(), z.imag() * a, z.conj() * z),
    "modulus": lambda a, z, m: (z.abs() * a, z / z.abs()),
    "mixed": lambda a, z, m: (a * z - z / a, a**z, thixo.where(a > 0, z, a)),
    "elementary": lambda a, z, m: (z.exp() * z.sin(), z.log().sqrt(), z.tanh(), z.sigmoid(), z**3, 1 / z),
    "products": lambda a, z, m: (m @ z, m @ m.conj().t(), thixo.nn.functional.linear(z, m), z.prod()),
    "sums": lambda a, z, m: (z.cumsum(0), m.mean(1), m.var(), m.std(0), m.norm(), m.norm(p=1), m.norm(p=3, dim=0)),
    "places": lambda a, z, m: (m[0] * z, thixo.cat([z, z * a]), m.t().reshape(-1), m.index_select(1, INDEX)),
}
INDEX = thixo.tensor([2, 0, 2])


@pytest.mark.parametrize("name", COMPLEX_FUNCTIONS)
def test_gradients_of_complex_numbers(name):
    thixo.manual_seed(2)
    a = (thixo.rand(3, dtype=thixo.float64) + 0.3).requires_grad_()
    z = (thixo.randn(3, dtype=thixo.float64) + 1j * thixo.randn(3, dtype=thixo.float64)).requires_grad_()
    m = (thixo.randn(2, 3, dtype=thixo.float64) + 1j * thixo.randn(2, 3, dtype=thixo.float64)).requires_grad_()
    assert autograd.gradcheck(COMPLEX_FUNCTIONS[name], [a, z, m])
    assert autograd.gradgradcheck(COMPLEX_FUNCTIONS[name], [a, z, m])


def test_gradcheck_shows_a_wrong_gradient():
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    x = thixo.ones(2, **F64)
    with pytest.raises(ValueError):
        autograd.gradcheck(Wrong.apply, [x])
    assert not autograd.gradcheck(Wrong.apply, [x], raise_exception=False)


def test_grad_can_be_set_and_must_be_a_tensor():
    x = thixo.ones(2, requires_grad=True)
    x.grad = thixo.zeros(2)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2]
    x.grad = None
    assert x.grad is None
    with pytest.raises(TypeError):
        x.grad = 1
    assert x.grad_fn is None and (x * 2).grad_fn is not None


def test_what_backward_saved_must_not_be_overwritten():
    x = thixo.ones(2, requires_grad=True)
    y = x.exp()
    z = y.sum()
    y.detach().add_(1)
    with pytest.raises(ValueError, match="exp"):
        z.backward()


def function(forward, backward=lambda ctx, *g: g[0]):
    return type("Mine", (autograd.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


def test_what_a_custom_function_returns_besides_tensors_comes_back():
    seen = []
    mine = function(lambda ctx, x: (x * 2, 5, x + 1), lambda ctx, *g: seen.append(g) or g[0] * 2 + g[2])
    x = thixo.ones(2, requires_grad=True)
    y, five, z = mine.apply(x)
    (y + z).sum().backward()
    assert five == 5 and seen[0][1] is None and x.grad.tolist() == [3, 3]


def test_wrong_results_of_user_functions():
    x = thixo.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"Mine.forward must return tensors, not int"):
        function(lambda ctx, x: 5).apply(x)
    for bad, kind, text in [
        (lambda ctx, g: 3, TypeError, r"Mine: backward returned int as gradient 0, not a tensor or None"),
        (lambda ctx, g: (g, g), ValueError, r"Mine: backward returned 2 gradients for 1 arguments"),
        (lambda ctx, g: (), ValueError, r"Mine: backward returned 0 gradients for 1 arguments"),
    ]:
        with pytest.raises(kind, match=text):
            function(lambda ctx, x: x * 2, bad).apply(x).sum().backward()
    y = x * 2
    y.register_hook(lambda g: 3)
    with pytest.raises(TypeError, match="a hook must return a Tensor or None, not a int"):
        y.sum().backward()
    with pytest.raises(TypeError):
        autograd.gradcheck(lambda v: 3.0, [thixo.ones(2, **F64)])


def test_a_context_is_closed_after_errors():
    kept = []

    class Fails(autograd.Function):
        @staticmethod
        def forward(ctx, x, where):
            ctx.save_for_backward(x)
            ctx.where = where
            kept.append(ctx)
            if where == "forward":
                raise RuntimeError("in forward")
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("in backward")

    x = thixo.full((300,), 1.0, requires_grad=True)
    for where in ("forward", "backward"):
        with pytest.raises(RuntimeError, match=f"in {where}"):
            Fails.apply(x, where).sum().backward()
    gc.collect()
    for ctx in kept:
        for use in (lambda c: c.saved_tensors, lambda c: c.needs_input_grad, lambda c: c.save_for_backward()):
            with pytest.raises(ValueError, match="Fails: its context was used outside of forward and backward"):
                use(ctx)


def test_nodes_have_the_names_of_their_ops():
    class Twice(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = thixo.ones(2, requires_grad=True)
    results = {
        "AddBackward0": x + 1,
        "MulBackward0": x * 2,
        "SumBackward0": x.sum(),
        "IndexSelectBackward0": x.index_select(0, thixo.tensor([0])),
        "TwiceBackward": Twice.apply(x),
    }
    for name, y in results.items():
        assert y.grad_fn.name() == name and type(y.grad_fn).__name__ == name
        assert repr(y.grad_fn).startswith(f"<{name} object at 0x")
        assert repr(y).endswith(f", grad_fn=<{name}>)")
    assert type((x + 1).grad_fn) is type((x + 2).grad_fn)
    y = x + 1
    assert y.grad_fn == y.grad_fn and len({y.grad_fn, y.grad_fn}) == 1 and y.grad_fn != (x + 1).grad_fn
