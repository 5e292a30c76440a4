"""Settings of layers, which are read and written as in PyTorch; containers as lists; layers in place."""

import copy
import pickle

import pytest
import thixo
from thixo import nn

TWINS = [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
SETTINGS = [  # a layer, what it says of itself
    (lambda: nn.Linear(3, 2), {"in_features": 3, "out_features": 2}),
    (
        lambda: nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2),
        {
            "in_channels": 2,
            "out_channels": 4,
            "kernel_size": (3, 3),
            "stride": (2, 2),
            "padding": (1, 1),
            "dilation": (1, 1),
            "groups": 2,
            "padding_mode": "zeros",
        },
    ),
    (lambda: nn.Conv2d(1, 1, (3, 1), padding="same"), {"kernel_size": (3, 1), "padding": "same"}),
    (
        lambda: nn.BatchNorm1d(3, eps=1e-3, momentum=None, affine=False),
        {"num_features": 3, "eps": 1e-3, "momentum": None, "affine": False, "track_running_stats": True},
    ),
    (lambda: nn.BatchNorm2d(3), {"num_features": 3, "eps": 1e-5, "momentum": 0.1, "affine": True}),
    (lambda: nn.LayerNorm(3), {"normalized_shape": (3,), "eps": 1e-5, "elementwise_affine": True}),
    (lambda: nn.RMSNorm((2, 3)), {"normalized_shape": (2, 3), "eps": None, "elementwise_affine": True}),
    (lambda: nn.Embedding(4, 3, padding_idx=-1), {"num_embeddings": 4, "embedding_dim": 3, "padding_idx": 3}),
    (lambda: nn.GELU("tanh"), {"approximate": "tanh"}),
    (lambda: nn.Softmax(1), {"dim": 1}),
    (lambda: nn.Dropout(0.25, inplace=True), {"p": 0.25, "inplace": True}),
    (lambda: nn.ReLU(inplace=True), {"inplace": True}),
    (nn.SiLU, {"inplace": False}),
    (lambda: nn.Flatten(0), {"start_dim": 0, "end_dim": -1}),
    (
        lambda: nn.MaxPool2d((2, 3), dilation=2, ceil_mode=True),
        {"kernel_size": (2, 3), "stride": (2, 3), "padding": 0, "dilation": 2, "ceil_mode": True},
    ),
    (
        lambda: nn.AvgPool2d(3, stride=1, padding=1, ceil_mode=True, count_include_pad=False),
        {"kernel_size": 3, "stride": 1, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    ),
]


@pytest.mark.parametrize(("make", "settings"), SETTINGS)
def test_settings_are_read_and_copied(make, settings):
    layer = make()
    for m in (layer, *(twin(layer) for twin in TWINS)):
        assert {name: getattr(m, name) for name in settings} == settings


def test_settings_are_written():
    drop = nn.Dropout(0.5)
    drop.p = 0.0
    assert drop(thixo.ones(100)).tolist() == [1] * 100
    conv, x = nn.Conv2d(1, 1, 3, stride=2), thixo.ones(1, 1, 9, 9)
    conv.stride = 1
    assert conv(x).shape == (1, 1, 7, 7) and "stride=(1, 1)" in str(conv)
    conv.padding, conv.dilation = "same", (2, 2)
    assert conv(x).shape == (1, 1, 9, 9)
    pool = nn.MaxPool2d(2)
    pool.kernel_size = 3
    assert pool(x).shape == (1, 1, 4, 4)  # its stride stays 2
    norm = nn.BatchNorm1d(2)
    norm.track_running_stats = False
    norm(thixo.randn(4, 2))
    assert norm.running_mean.tolist() == [0, 0] and norm.num_batches_tracked == 0
    norm.track_running_stats, norm.momentum = True, 1.0
    y = thixo.tensor([[0.0, 2.0], [2.0, 4.0]])
    norm(y)
    assert norm.running_mean.tolist() == [1, 3]
    table = nn.Embedding(3, 2)
    table.padding_idx = 1
    table(thixo.tensor([0, 1])).sum().backward()
    assert table.weight.grad.tolist() == [[1, 1], [0, 0], [0, 0]]


def test_what_cannot_change_says_so():
    conv, norm = nn.Conv2d(1, 1, 3), nn.BatchNorm1d(2)
    with pytest.raises(AttributeError, match="'kernel_size' of Conv2d is fixed when the layer is made"):
        conv.kernel_size = 5
    with pytest.raises(AttributeError, match="'affine' of BatchNorm1d is fixed"):
        norm.affine = False
    with pytest.raises(AttributeError, match="'stride' is a property of Conv2d"):
        conv.stride = nn.Parameter(thixo.ones(1))
    with pytest.raises(AttributeError, match="needs its buffer 'running_mean'"):
        norm.running_mean = nn.Parameter(thixo.ones(2))
    gelu = nn.GELU()
    gelu.approximate = "cosh"
    for call in (lambda: gelu(thixo.ones(1)), lambda: nn.GELU("cosh")):
        with pytest.raises(ValueError, match="GELU: there is no approximation 'cosh'"):
            call()
    for wrong in ("many", None):
        with pytest.raises(TypeError):
            conv.groups = wrong
    with pytest.raises(TypeError):
        nn.Sigmoid(inplace=True)


@pytest.mark.parametrize("twin", TWINS, ids=["deepcopy", "pickle"])
def test_copies_draw_no_random_numbers(twin):
    net = nn.Sequential(nn.Linear(3, 3), nn.Conv2d(1, 1, 1), nn.Embedding(3, 2, padding_idx=0), nn.BatchNorm1d(3))
    thixo.manual_seed(1)
    want = thixo.rand(1)
    thixo.manual_seed(1)
    twin(net)
    assert thixo.equal(thixo.rand(1), want)


def test_layers_in_place():
    for layer in (nn.ReLU(inplace=True), nn.SiLU(inplace=True), nn.Dropout(1.0, inplace=True)):
        x = thixo.tensor([-1.0, 2.0])
        want = type(layer)(**({"p": 1.0} if isinstance(layer, nn.Dropout) else {}))(x)
        assert layer(x) is x and thixo.equal(x, want)
    assert str(nn.ReLU(inplace=True)) == "ReLU(inplace=True)" and str(nn.ReLU()) == "ReLU()"
    assert str(nn.Dropout(0.1, inplace=True)) == "Dropout(p=0.1, inplace=True)"
    w = thixo.tensor([-1.0, 2.0], requires_grad=True)
    nn.ReLU(inplace=True)(w * 1).sum().backward()
    assert w.grad.tolist() == [0, 1]
    assert nn.Identity(54, unused=True)(w) is w


def kinds(modules):
    return [type(m).__name__ for m in modules]


@pytest.mark.parametrize("make", [lambda *m: nn.Sequential(*m), lambda *m: nn.ModuleList(m)])
def test_containers_change_like_lists(make):
    s = make(nn.Linear(2, 2), nn.ReLU())
    s[1] = nn.Tanh()
    s += [nn.SiLU()]
    s.insert(1, nn.Identity())
    assert kinds(s) == ["Linear", "Identity", "Tanh", "SiLU"]
    assert [n for n, _ in s.named_children()] == ["0", "1", "2", "3"]
    del s[0]
    assert kinds(s) == ["Identity", "Tanh", "SiLU"] and [n for n, _ in s.named_children()] == ["0", "1", "2"]
    del s[1:]
    assert kinds(s) == ["Identity"] and kinds([s.pop()]) == ["Identity"] and len(s) == 0
    s.append(nn.ReLU())
    for wrong in (lambda: s.insert(0, "relu"), lambda: s.append(None), lambda: s.__setitem__(0, 3)):
        with pytest.raises(TypeError):
            wrong()
        assert kinds(s) == ["ReLU"]
    s.pop(0)
    with pytest.raises(IndexError, match="index 0 is out of range for 0 modules"):
        s[0] = nn.ReLU()
    assert kinds(s + [nn.ReLU()]) == ["ReLU"] and len(s) == 0  # noqa: RUF005


def test_a_shared_module_counts_at_each_place():
    relu = nn.ReLU()
    net = nn.Sequential(relu, nn.Linear(1, 1), relu)
    assert len(net) == 3 and kinds(net) == ["ReLU", "Linear", "ReLU"] and kinds(net.children()) == ["ReLU", "Linear"]
    with thixo.no_grad():
        net[1].weight.fill_(-1)
        net[1].bias.zero_()
    assert net(thixo.ones(1)).tolist() == [0]


def test_parts_of_sequentials():
    class Block(nn.Sequential):
        def __init__(self, width):
            super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Tanh())

    part = Block(2)[1:]
    assert type(part) is nn.Sequential and kinds(part) == ["ReLU", "Tanh"]
    assert [n for n, _ in part.named_children()] == ["1", "2"]
    part.append(nn.SiLU())  # takes no other's name
    assert kinds(part) == ["ReLU", "Tanh", "SiLU"]
    assert [n for n, _ in nn.ModuleList([nn.ReLU(), nn.Tanh()])[1:].named_children()] == ["0"]
