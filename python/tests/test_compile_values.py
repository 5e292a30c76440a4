"""Compiled functions against the same functions run eagerly: memory that arguments, states and results share, gradients
that come or do not, and what a function makes by itself."""

import pytest
import thixo
from thixo.nn import functional as F


def same(a, b):
    return repr(a) == repr(b)


def replayed(f, *args):
    """The second call of the compiled function: a replay."""
    g = thixo.compile(f)
    g(*args)
    return g(*args)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: x.sum(-1) + y,
        lambda x, y: x.mean(-1) * y,
        lambda x, y: x.sum(-1, keepdim=True) * y.view(4, 1),
        lambda x, y: x - x.mean(-1, True) * y.view(4, 1),
        lambda x, y: x.argmax(-1) == y.view(1, 4),
        lambda x, y: thixo.where(y > 1, x.amax(-1), y),
    ],
)
def test_operands_of_row_values_broadcast_from_the_right(f):
    x, y = thixo.randn(2, 4, 3), thixo.arange(4.0)
    assert thixo.allclose(replayed(f, x, y).to(thixo.float32), f(x, y).to(thixo.float32), atol=1e-6)


@pytest.mark.parametrize("shape", [(10,), (9, 10), (9, 1), (1, 10), (16, 9, 10)])
def test_operands_of_row_values_of_every_rank(shape):
    x, y = thixo.randn(16, 9, 10, 8), thixo.randn(*shape)
    assert same(replayed(lambda x, y: x.amax(-1) + y, x, y), x.amax(-1) + y)


@pytest.mark.parametrize("bad", [3, -1, 10**9])
@pytest.mark.parametrize("smooth", [0.0, 0.1])
def test_labels_are_checked_at_every_call(bad, smooth):
    x, w, target = thixo.randn(8, 3), thixo.randn(3, 3, requires_grad=True), thixo.zeros(8, dtype=thixo.int64)

    def step(t):
        w.grad = None
        loss = F.cross_entropy(x @ w, t, label_smoothing=smooth)
        loss.backward()
        return loss.detach()

    f = thixo.compile(step)
    f(target), f(target)
    target[2] = bad
    with pytest.raises(IndexError, match=f"index {bad} is out of range for dim 1 of size 3"):
        f(target)
    target[2] = 0
    assert thixo.allclose(f(target), step(target))


def test_one_hot_checks_too():
    f = thixo.compile(lambda t: F.one_hot(t, 3) * 2)
    f(thixo.tensor([0, 2])), f(thixo.tensor([0, 2]))
    with pytest.raises(IndexError, match="one_hot: index 3 is out of range"):
        f(thixo.tensor([0, 3]))


def test_a_result_keeps_its_gradient_where_a_leaf_is_updated():
    def make():
        w = thixo.ones(3, requires_grad=True)

        def f(x):
            with thixo.no_grad():
                w.mul_(0.5)
            return (w * x).sum()

        return w, f

    (w, f), (v, g) = make(), make()
    g, x = thixo.compile(g), thixo.tensor([1.0, 2.0, 3.0])
    for _ in range(3):
        f(x).backward(), g(x).backward()
        assert same(w, v) and same(w.grad, v.grad)


def test_one_tensor_given_twice():
    f, w = thixo.compile(lambda x, y: (x * y).sum()), thixo.ones(2, requires_grad=True)
    for _ in range(2):
        w.grad = None
        f(w, w).backward()
        assert w.grad.tolist() == [2, 2]
        w.grad = None
        y = w.exp()
        r = f(y, y)
        (y.sum() + r).backward()
        assert y._version == 0
        assert thixo.allclose(w.grad, thixo.tensor(1.0).exp() + 2 * thixo.tensor(2.0).exp())


def test_a_gradient_that_never_came_is_none():
    f, x = thixo.compile(lambda x: (x.sum(), x.sqrt())), thixo.tensor([0.0, 1.0], requires_grad=True)
    f(x)
    f(x)[0].backward()
    assert x.grad.tolist() == [1, 1]  # and not nan: the square root's is no zero times infinity
    a, b = thixo.ones(2, requires_grad=True), thixo.ones(2, requires_grad=True)
    g = thixo.compile(lambda x: (a * x, b * x))
    g(thixo.ones(2))
    g(thixo.ones(2))[0].sum().backward()
    assert a.grad.tolist() == [1, 1] and b.grad is None
    g(thixo.ones(2))[1].sum().backward()
    assert a.grad.tolist() == [1, 1] and b.grad.tolist() == [1, 1]


def test_results_in_the_memory_of_arguments_and_states():
    w = thixo.zeros(2)
    f = thixo.compile(lambda x: w.add_(x))
    assert f(thixo.ones(2)).data_ptr() == f(thixo.ones(2)).data_ptr() == w.data_ptr()
    assert w.tolist() == [2, 2]

    def part(x):
        x.add_(1)
        return x[0:2]

    g, x = thixo.compile(part), thixo.zeros(4)
    g(x)
    r = g(x)
    x.add_(5)
    assert r.tolist() == [7, 7]
    r.mul_(2)
    assert x.tolist() == [14, 14, 7, 7]
    h, x = thixo.compile(lambda x: (x.detach(), x * 2)), thixo.ones(2, requires_grad=True)
    h(x)
    r = h(x)[0]
    assert r is not x and not r.requires_grad and r.data_ptr() == x.data_ptr()


def test_an_argument_that_is_captured_too():
    w = thixo.ones(2)
    f = thixo.compile(lambda x: w * 2 + x)
    assert f(w).tolist() == [3, 3] and f(thixo.zeros(2)).tolist() == [2, 2] and f(w).tolist() == [3, 3]
    g, v = thixo.compile(lambda x: w.add_(1) + x), thixo.zeros(2)
    assert g(w).tolist() == [4, 4]
    assert g(v).tolist() == [3, 3] and v.tolist() == [0, 0] and w.tolist() == [3, 3]
    p = thixo.ones(2, requires_grad=True)
    h, x = thixo.compile(lambda x: (p * x).sum()), thixo.ones(2, requires_grad=True)
    h(p)
    h(x).backward()
    assert p.grad.tolist() == x.grad.tolist() == [1, 1]


def test_what_a_function_makes_without_an_op_is_its_own():
    def copied(x):
        y = thixo.empty(2)
        y.copy_(x)
        return y

    f = thixo.compile(copied)
    results = [f(thixo.full((2,), float(i))) for i in range(3)]
    assert [r.tolist() for r in results] == [[0, 0], [1, 1], [2, 2]]
    x = thixo.ones(2)
    assert replayed(lambda x: x + thixo.tensor(2.0) + thixo.tensor([1.0, 2.0]), x).tolist() == [4, 5]
    assert replayed(lambda x: x[thixo.tensor([1, 0])], thixo.tensor([1.0, 2.0])).tolist() == [2, 1]

    def added(x):
        c = thixo.tensor([0.0, 0.0])
        c.add_(x)
        return c

    f = thixo.compile(added)
    assert [f(x).tolist() for _ in range(3)] == [[1, 1]] * 3

    def own_leaf(x):
        t = thixo.tensor([1.0, 2.0], requires_grad=True)
        (t * x).sum().backward()
        return t.grad

    f = thixo.compile(own_leaf)
    f(x)
    assert f(x * 3).tolist() == [3, 3]


def test_a_grad_that_is_set_without_reading_its_leaf():
    p = thixo.ones(2, requires_grad=True)

    def f(x):
        p.grad = x * 2

    g = thixo.compile(f)
    for i in (1.0, 4.0):
        g(thixo.full((2,), i))
        assert p.grad.tolist() == [2 * i, 2 * i]


def test_gradients_of_arguments_inside():
    p = thixo.nn.Parameter(thixo.ones(2))

    def f(q):
        (q * q).sum().backward()
        return q * 1

    g = thixo.compile(f)
    g(p), g(p)
    assert p.grad.tolist() == [4, 4]


def test_composites_of_composites_and_shared_gradients():
    f = lambda x: x.logsumexp(-1).logsumexp(-1).softmax(-1)  # noqa: E731
    assert same(replayed(f, thixo.ones(3)), f(thixo.ones(3)))
    g, w = thixo.compile(lambda h: h.sum()), thixo.ones(2, requires_grad=True)
    for _ in range(2):
        w.grad = None
        h = w * 1
        o = (h * h).sum()
        (o + g(h)).backward()
        assert w.grad.tolist() == [3, 3]


def test_writes_that_read_their_own_memory():
    def transposed_back(x):
        y = thixo.zeros(4, 4)
        y.t().copy_(x)
        x.copy_(y)
        return thixo.zeros(1)

    f, x = thixo.compile(transposed_back), thixo.arange(16.0).reshape(4, 4)
    f(x), f(x)
    assert x.tolist() == thixo.arange(16.0).reshape(4, 4).tolist()

    def strided(x):
        x[..., ::2] = x.clone()
        return x.sum()

    f, x = thixo.compile(strided), thixo.ones(4, 1)
    assert f(x).item() == f(x).item() == 4


def test_a_part_of_an_expanded_tensor_is_not_written():
    def f(x):
        x[::2].mul_(2)

    with pytest.raises(NotImplementedError, match="writes to a part of an expanded tensor"):
        thixo.compile(f)(thixo.ones(1, 3).expand(2, 3))


def test_complex_numbers_stay_in_products():
    z = thixo.tensor([1 + 2j])
    f = lambda z: ((z + 1) * (1 + 2j) - 2j) / (1 + 1j)  # noqa: E731
    assert same(replayed(f, z), f(z))


def test_states_that_get_other_memory_and_modules_that_are_switched():
    norm = thixo.nn.LayerNorm(64)
    f, x = thixo.compile(lambda x: F.layer_norm(x, (64,), norm.weight, norm.bias)), thixo.randn(4, 64)
    with thixo.no_grad():
        f(x), f(x)
        norm.double(), norm.float()
        norm.weight.fill_(5.0)
        assert thixo.allclose(f(x), norm(x), atol=1e-5)
    net = thixo.nn.Dropout(1.0)
    g = thixo.compile(lambda x: net(x) * 2)
    assert g(x).abs().sum().item() == g(x).abs().sum().item() == 0
    net.eval()
    assert same(g(x), x * 2)
    net.train()
    assert g(x).abs().sum().item() == 0
    net.p = 0.0
    assert same(g(x), x * 2)


def test_what_a_replay_would_not_do_is_refused():
    class Counts(thixo.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", thixo.zeros(1))
            self.last = None

        def forward(self, x):
            if x.dim() == 1:
                self.last = x * 2
            else:
                self.seen = self.seen + 1
            return x

    net = Counts()
    for x in (thixo.ones(2), thixo.ones(2, 2)):
        with pytest.raises(NotImplementedError, match="of Counts to a tensor, which a replay would not do"):
            thixo.compile(net)(x)
        net(x)
    assert net.seen.item() == 1 and net.last.tolist() == [2, 2]
    opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)
    schedule = thixo.optim.lr_scheduler.StepLR(opt, step_size=1)
    with pytest.raises(NotImplementedError, match="moves a learning rate schedule on"):
        thixo.compile(lambda x: schedule.step() or x)(thixo.ones(1))


def test_the_device_is_part_of_the_signature():
    f = thixo.compile(lambda x: x * 2)
    f(thixo.ones(3))
    assert f(thixo.empty(3, device="meta")).device.type == "meta"
