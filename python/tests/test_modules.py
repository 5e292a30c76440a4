"""Modules from Python: mixed with C++ ones, identity, attributes, copies, names and text as PyTorch's."""

import copy
import gc
import pickle
import weakref

import pytest
import thixo
from thixo import nn

LAYERS = [
    lambda: nn.Linear(3, 2),
    lambda: nn.Linear(3, 2, bias=False, dtype=thixo.float64),
    lambda: nn.Conv2d(2, 4, (3, 1), stride=2, padding=1, groups=2, bias=False),
    lambda: nn.Conv2d(1, 4, 3, padding="same", dilation=2),
    lambda: nn.BatchNorm1d(3, eps=1e-3, momentum=None),
    lambda: nn.BatchNorm2d(3, affine=False),
    lambda: nn.LayerNorm((2, 3), bias=False),
    lambda: nn.RMSNorm(3, eps=1e-4),
    lambda: nn.Embedding(4, 3, padding_idx=1),
    lambda: nn.GELU(approximate="tanh"),
    lambda: nn.Softmax(dim=1),
    lambda: nn.Dropout(0.25),
    lambda: nn.Flatten(0, 1),
    lambda: nn.MaxPool2d(2, stride=1, padding=1),
    lambda: nn.AvgPool2d((2, 1), count_include_pad=False),
    nn.Identity,
    nn.ReLU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
    lambda: nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU())),
    lambda: nn.ModuleList([nn.Linear(2, 2), nn.ReLU()]),
    lambda: nn.CrossEntropyLoss(weight=thixo.ones(2), label_smoothing=0.1),
    lambda: nn.MSELoss(reduction="sum"),
]


class Net(nn.Module):
    """At the top of the file, so that pickle finds it."""

    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.scale = nn.Parameter(thixo.ones(width))
        self.register_buffer("shift", thixo.zeros(width))
        self.register_buffer("cache", thixo.zeros(1), persistent=False)
        self.width = width

    def forward(self, x):
        return self.body(x) * self.scale + self.shift


def state(m):
    return {n: t.tolist() for n, t in m.state_dict().items()}


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_are_the_same_and_apart(make, twin):
    m = make()
    m.eval()
    m.note = [1]
    t = twin(m)
    assert type(t) is type(m) and str(t) == str(m) and state(t) == state(m)
    assert not t.training and t.note == [1]
    assert [p.dtype for p in t.parameters()] == [p.dtype for p in m.parameters()]
    for p in t.parameters():
        assert isinstance(p, nn.Parameter) and p.requires_grad
        with thixo.no_grad():
            p.add_(1)
    assert all((a != b).all() for a, b in zip(t.parameters(), m.parameters(), strict=True))


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_of_python_modules(twin):
    net = Net()
    net.tied = net.scale
    net.scale.requires_grad_(False)
    net.body[1].eval()
    t = twin(net)
    assert t.width == 4 and t.tied is t.scale and not t.scale.requires_grad
    assert t.training and not t.body[1].training
    assert set(t.state_dict()) == set(net.state_dict()) and "cache" not in t.state_dict()
    x = thixo.randn(2, 4)
    assert thixo.equal(t(x), net(x))


def test_identity():
    net = Net()
    w = net.body[0].weight
    assert w is net.body[0].weight and isinstance(w, nn.Parameter)
    assert net.body is net.body and net.body[0] is next(net.body.children())
    net(thixo.ones(1, 4)).sum().backward()
    assert w.grad is w.grad
    w.mark = "kept"
    del w
    gc.collect()
    assert net.body[0].weight.mark == "kept"
    net.body[0].mark = "kept"
    gc.collect()
    assert net.body[0].mark == "kept"


def test_a_cpp_container_calls_python_modules_and_back():
    calls = []

    class Noted(nn.Linear):
        def forward(self, x):
            calls.append("python")
            return super().forward(x)

    inner = nn.Sequential(Noted(2, 2), nn.ReLU())
    outer = thixo._thixo._nn._Sequential([inner, Noted(2, 2)])  # C++'s own loop over its children
    y = thixo._thixo._nn._Sequential.forward(outer, thixo.ones(1, 2))
    assert y.shape == (1, 2) and calls == ["python", "python"]


def test_errors_in_python_modules_come_through_cpp():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        nn.Sequential(nn.ReLU(), Broken())(thixo.ones(1))


def test_registration_and_names():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "body.0.weight", "body.0.bias"]
    assert list(net.state_dict()) == ["scale", "shift", "body.0.weight", "body.0.bias"]
    assert [n for n, _ in net.named_modules()] == ["", "body", "body.0", "body.1"]
    assert [n for n, _ in net.named_children()] == ["body"]
    assert [n for n, _ in net.named_buffers()] == ["shift", "cache"]
    assert next(n for n, _ in net.named_parameters(prefix="net")) == "net.scale"
    assert net.get_submodule("body.0") is net.body[0]
    assert net.get_parameter("body.0.bias") is net.body[0].bias
    del net.scale
    assert [n for n, _ in net.named_parameters()] == ["body.0.weight", "body.0.bias"]
    with pytest.raises(AttributeError, match="no attribute 'scale'"):
        net.scale  # noqa: B018
    with pytest.raises(TypeError, match="cannot assign str to the module 'body'"):
        net.body = "text"
    net.body = None
    assert net.body is None and "body" in dir(net)


def test_attributes_before_init_are_explained():
    class Late(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)
            super().__init__()

    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call.*super\(\)"):
        Late()

    class Early(nn.Module):
        def __init__(self):
            self.k = 3
            super().__init__()

    assert Early().k == 3


def test_a_frozen_parameter_stays_frozen():
    one, two = nn.Module(), nn.Module()
    one.w = nn.Parameter(thixo.ones(2), requires_grad=False)
    two.w = one.w
    assert two.w is one.w and not one.w.requires_grad
    one.n = nn.Parameter(thixo.arange(2), requires_grad=False)
    assert one.n.dtype == thixo.int64
    one.register_parameter("plain", thixo.ones(1))
    assert one.plain.requires_grad
    one.plain.requires_grad_(False)
    assert not copy.deepcopy(one).plain.requires_grad
    with pytest.raises(ValueError, match="'v' was computed with a gradient"):
        one.register_parameter("v", thixo.ones(1, requires_grad=True) * 2)


def test_a_name_stands_for_one_thing():
    m = nn.Module()
    m.size = 3
    for register in (m.register_buffer, m.register_parameter):
        with pytest.raises(KeyError, match="attribute 'size' already exists"):
            register("size", thixo.ones(1))
    with pytest.raises(KeyError, match="attribute 'forward' already exists"):
        m.forward = nn.Parameter(thixo.ones(1))
    m.register_buffer("x", thixo.ones(1), persistent=False)
    m.x = thixo.zeros(1)
    assert m.x == 0 and not m.state_dict()  # still not persistent
    m.x = nn.Parameter(thixo.ones(2))
    assert [n for n, _ in m.named_parameters()] == ["x"] and not list(m.named_buffers())
    m.size = nn.ReLU()
    assert "size" not in m.__dict__ and isinstance(m.size, nn.ReLU)


def test_tied_parameters_have_two_names():
    a, b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    b.weight = a.weight
    net = nn.Sequential(a, b)
    assert [n for n, _ in net.named_parameters()] == ["0.weight"]
    assert [n for n, _ in net.named_parameters(remove_duplicate=False)] == ["0.weight", "1.weight"]
    x, eye, zero = thixo.ones(1, 2), thixo.eye(2), thixo.zeros(2, 2)
    call = thixo.func.functional_call
    assert call(net, {"1.weight": eye * 2}, x).tolist() == [[4, 4]]
    assert call(net, {"0.weight": eye, "1.weight": zero}, x, tie_weights=False).tolist() == [[0, 0]]
    with pytest.raises(ValueError, match=r"0.weight, 1.weight are one tensor"):
        call(net, {"0.weight": eye, "1.weight": zero}, x)
    assert b.weight is a.weight


def test_train_eval_apply_and_freeze():
    net = Net()
    assert net.eval() is net and not net.body[0].training
    net.train()
    assert net.body[1].training
    seen = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Sequential", "Net"]
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.training = False  # here alone
    assert not net.training and net.body.training


def test_a_train_of_ones_own_is_called_from_above():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    class Silent(nn.Module):
        def train(self, mode=True):
            self.seen = mode

    net = nn.Sequential(nn.Sequential(Frozen(2)), Silent(), nn.ReLU())
    assert net.train() is net
    assert net[2].training and not net[0][0].training and net[1].seen
    net.eval()
    assert not net.training and not net[1].seen
    twin = copy.deepcopy(net.train())
    assert twin.training and not twin[0][0].training


def test_load_state_dict_reports():
    net = Net()
    s = dict(net.state_dict())
    s["extra"] = s.pop("shift")
    with pytest.raises(ValueError, match="shift"):
        net.load_state_dict(s)
    with pytest.raises(RuntimeError, match="missing: shift"):
        net.load_state_dict(s)
    report = net.load_state_dict(s, strict=False)
    assert report == (["shift"], ["extra"])
    assert report.missing_keys == ["shift"] and report.unexpected_keys == ["extra"]
    assert repr(report) == "_IncompatibleKeys(missing_keys=['shift'], unexpected_keys=['extra'])"
    assert repr(net.load_state_dict(net.state_dict())) == "<All keys matched successfully>"
    s = dict(net.state_dict())
    s["scale"] = thixo.ones(5)
    with pytest.raises(ValueError, match="scale"):
        net.load_state_dict(s)


def test_text_is_pytorchs():
    assert str(nn.Conv2d(1, 2, 3)) == "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))"
    assert repr(Net()) == (
        "Net(\n  (body): Sequential(\n    (0): Linear(in_features=4, out_features=4, bias=True)\n"
        "    (1): ReLU()\n  )\n)"
    )
    assert repr(nn.Parameter(thixo.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"

    class Named(nn.Module):
        def extra_repr(self):
            return "size=3"

    assert str(nn.Sequential(Named())) == "Sequential(\n  (0): Named(size=3)\n)"


def test_hooks():
    net = nn.Linear(2, 1)
    seen = []
    one = net.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    two = net.register_forward_hook(lambda m, args, out: seen.append(args[0].tolist()))
    net(thixo.ones(2))
    one.remove()
    net(thixo.ones(2))
    two.remove()
    net(thixo.ones(2))
    assert seen == [[2, 2], [1, 1]]
    with net.register_forward_hook(lambda m, args, out: out * 0):
        assert net(thixo.ones(2)) == 0
    assert not net._forward_hooks


def test_an_optimizer_keeps_parameters_not_modules():
    net = Net()
    gone = weakref.ref(net)
    opt = thixo.optim.SGD(net.parameters(), lr=0.1)
    del net
    gc.collect()
    assert gone() is None
    assert len(opt.param_groups[0]["params"]) == 3


def test_functional_batch_norm_is_the_modules():
    x = thixo.randn(8, 3, 4)
    net = thixo.nn.BatchNorm1d(3)
    mean, var = net.running_mean.clone(), net.running_var.clone()
    y = thixo.nn.functional.batch_norm(x, mean, var, net.weight, net.bias, training=True)
    assert (y == net(x)).all() and (mean == net.running_mean).all() and (var == net.running_var).all()
    net.eval()
    assert (thixo.nn.functional.batch_norm(x, mean, var, net.weight, net.bias) == net(x)).all()
    with pytest.raises(ValueError, match="running_mean and running_var are missing"):
        thixo.nn.functional.batch_norm(x, None, None)
