"""Training from Python: gradients, custom functions, modules in both languages, optimizers, compile."""

import gc
import weakref

import pytest
import thixo
from thixo import nn


def network():
    thixo.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def batch():
    thixo.manual_seed(1)
    return thixo.randn(16, 4), thixo.randint(0, 3, (16,))


def test_gradients_of_third_order():
    x = thixo.tensor(2.0, dtype=thixo.float64, requires_grad=True)
    y = x * x * x * x
    for want in (32.0, 48.0, 48.0):
        (y,) = thixo.autograd.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(want)


def test_gradients_are_clipped():
    w = thixo.ones(3, dtype=thixo.float16, requires_grad=True)
    w.grad = thixo.tensor([300.0, 400.0, 0.0], dtype=thixo.float16)
    assert nn.utils.clip_grad_norm_(w, 5.0).item() == pytest.approx(500)
    assert w.grad.tolist() == pytest.approx([3, 4, 0], rel=1e-2)
    nn.utils.clip_grad_value_(w, 1.5)
    assert w.grad.tolist() == [1.5, 1.5, 0]
    nn.utils.clip_grad_value_(iter([w]), 1.0)
    assert w.grad.tolist() == [1, 1, 0]
    with pytest.raises(TypeError, match="clip_grad_norm_: parameters has a float"):
        nn.utils.clip_grad_norm_([w, 1.0], 1.0)


def test_custom_function():
    class Cube(thixo.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x

    x = thixo.tensor([1.0, 2.0], requires_grad=True)
    Cube.apply(x).sum().backward()
    assert x.grad.tolist() == [3, 12]


def test_no_grad_as_context_and_decorator():
    x = thixo.ones(1, requires_grad=True)
    with thixo.no_grad():
        assert not (x * 2).requires_grad

    @thixo.no_grad()
    def f(v):
        return v * 2

    assert not f(x).requires_grad
    assert (x * 2).requires_grad


def test_modules_of_both_languages_mix():
    class Twice(nn.Module):
        def forward(self, x):
            return x * 2

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 4), Twice())
            self.scale = nn.Parameter(thixo.ones(4))

        def forward(self, x):
            return self.body(x) * self.scale

    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "body.0.weight", "body.0.bias"]
    assert isinstance(net.body[0].weight, nn.Parameter)
    net(thixo.ones(2, 4)).sum().backward()
    assert net.scale.grad is not None


@pytest.mark.parametrize(
    "make", [lambda p: thixo.optim.SGD(p, lr=0.1, momentum=0.9), lambda p: thixo.optim.Adam(p, lr=0.01)]
)
def test_a_network_learns(make):
    net, (x, y) = network(), batch()
    opt = make(net.parameters())
    losses = []
    for _ in range(60):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_compiled_step_trains_like_eager():
    results = []
    for compiled in (False, True):
        net, (x, y) = network(), batch()
        opt = thixo.optim.Adam(net.parameters(), lr=0.01)

        def step(x, y, net=net, opt=opt):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            return loss

        if compiled:
            step = thixo.compile(step)
        results.append([float(step(x, y).detach()) for _ in range(5)])
    assert results[1] == pytest.approx(results[0], rel=1e-5)


def test_compile_refuses_to_look_at_values():
    f = thixo.compile(lambda x: x * 2 if x.sum().item() > 0 else x)
    with pytest.raises(thixo.NotImplementedError, match="looks at the value"):
        f(thixo.ones(2))


def test_state_dict_round_trip(tmp_path):
    a, b = network(), network()
    with thixo.no_grad():
        for p in b.parameters():
            p.zero_()
    path = str(tmp_path / "net.safetensors")
    a.save(path)
    b.load(path)
    x, _ = batch()
    assert thixo.equal(a(x), b(x))


def test_compiled_functions_are_let_go():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 2)
            self.step = thixo.compile(self.step)  # a cycle

        def step(self, x):
            return self.fc(x).sum().detach()

    net = Net()
    net.step(thixo.ones(1, 2))
    assert net.step(thixo.ones(1, 2)).item() == pytest.approx(net.fc(thixo.ones(1, 2)).sum().item(), rel=1e-5)
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None
