"""What a custom function may do, and what its mistakes are told."""

import pytest
import thixo
from thixo import autograd


def function(forward, backward, **more):
    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("Mine", (autograd.Function,), members | {k: staticmethod(v) for k, v in more.items()})


def error_of(backward, *args):
    f = function(lambda ctx, x, k=None: x * 1, backward)
    x = thixo.ones(2, requires_grad=True)
    y = f.apply(x, *args)
    with pytest.raises((ValueError, TypeError)) as e:
        y.sum().backward()
    assert ".cpp" not in str(e.value) and ":0" not in str(e.value)
    return str(e.value)


def test_one_gradient_for_each_argument():
    assert "returned 1 gradients for 2 arguments" in error_of(lambda ctx, g: g, 3)
    assert "returned 2 gradients for 1 arguments" in error_of(lambda ctx, g: (g, g))
    assert "argument 1 of forward, which is no tensor" in error_of(lambda ctx, g: (g, g), 3)
    assert "returned float as gradient 0" in error_of(lambda ctx, g: 1.0)
    more = function(lambda ctx, x: x * 1, lambda ctx, g: (g, None, None))
    x = thixo.ones(2, requires_grad=True)
    more.apply(x).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_a_gradient_must_have_the_shape_of_its_argument():
    assert "Mine: backward returned a gradient of shape [3] for input 0" in error_of(lambda ctx, g: thixo.ones(3))
    wide = function(lambda ctx, x: x * 1, lambda ctx, g: thixo.ones(3, 2))  # x may have been broadcast
    x = thixo.ones(2, requires_grad=True)
    wide.apply(x).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_setup_context_keeps_what_backward_needs():
    def setup(ctx, inputs, output):
        x, ctx.k = inputs
        ctx.save_for_backward(x, output)

    def backward(ctx, g):
        x, y = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False) and y.tolist() == [2, 4]
        return g * x * ctx.k, None

    f = function(lambda x, k: x * k, backward, setup_context=setup)
    x = thixo.tensor([1.0, 2.0], requires_grad=True)
    f.apply(x, 2).sum().backward()
    assert x.grad.tolist() == [2, 4]


def test_mark_dirty():
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    f = function(forward, lambda ctx, g: g * 2)
    x = thixo.ones(2, requires_grad=True)
    y = x * 3
    assert f.apply(y) is not None
    y.sum().backward()
    assert y.tolist() == [6, 6] and x.grad.tolist() == [6, 6]
    with pytest.raises(ValueError, match="leaf"):
        f.apply(x)


def test_what_it_saved_must_not_be_overwritten():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 1

    f = function(forward, lambda ctx, g: g * ctx.saved_tensors[0])
    x = thixo.ones(2, requires_grad=True)
    y = f.apply(x)
    x.detach().add_(1)
    with pytest.raises(ValueError, match="overwritten by add_") as e:
        y.sum().backward()
    assert "test_custom_functions.py:" in str(e.value) and ":0" not in str(e.value)
