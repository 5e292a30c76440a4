"""Modules from Python: mixed with C++ ones, identity, attributes, cycles, copies, names and text as PyTorch's."""

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

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Late()


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


def test_load_state_dict_reports():
    net = Net()
    s = dict(net.state_dict())
    s["extra"] = s.pop("shift")
    with pytest.raises(ValueError, match="shift"):
        net.load_state_dict(s)
    assert net.load_state_dict(s, strict=False) == (["shift"], ["extra"])
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


class Marker:
    """Something to watch with a weak reference."""


def collected(make):
    """Whether what `make` builds, with a Marker in it, goes when nobody refers to it."""
    gone = weakref.ref(make())
    gc.collect()
    return gone() is None


def test_cycles_between_modules_are_collected():
    def parent_and_child():
        net = Net()
        net.body[0].__dict__["parent"] = net  # a plain reference back
        net.marker = Marker()
        return net.marker

    def through_a_parameter():
        net = Net()
        net.scale.owner = net
        net.marker = Marker()
        return net.marker

    def through_a_list():
        net = nn.Sequential(nn.Linear(1, 1))
        net[0].links = [net]
        net[0].marker = Marker()
        return net[0].marker

    def through_a_hook():
        net = nn.Linear(1, 1)
        net.marker = Marker()
        net.register_forward_hook(lambda m, args, out: net)
        return net.marker

    for make in (parent_and_child, through_a_parameter, through_a_list, through_a_hook):
        assert collected(make), make.__name__


def test_what_is_in_use_is_not_collected():
    net = Net()
    net.body[0].__dict__["parent"] = net
    child = net.body[0]
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is not None  # the child refers to it
    assert child(thixo.ones(1, 4)).shape == (1, 4)
    assert child.parent(thixo.ones(1, 4)).shape == (1, 4)
    del child
    gc.collect()
    assert gone() is None


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
