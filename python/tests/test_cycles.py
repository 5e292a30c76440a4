"""Cycles that pass through C++ are collected, and what is in use is not."""

import gc
import weakref

import thixo
from thixo import nn


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.scale = nn.Parameter(thixo.ones(width))

    def forward(self, x):
        return self.body(x) * self.scale


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


def test_cycles_through_functions_that_cpp_calls_are_collected():
    def leaf_hook():
        x = thixo.ones(1, requires_grad=True)
        x.marker = Marker()
        x.register_hook(lambda g: x * g)
        x.register_post_accumulate_grad_hook(lambda t: x)
        x.sum().backward()
        return x.marker

    def weight_hook():
        net = nn.Linear(2, 2)
        net.marker = Marker()
        net.weight.register_hook(lambda g: net and None)
        return net.marker

    def schedule():
        net = nn.Linear(2, 2)
        net.marker = Marker()
        opt = thixo.optim.SGD(net.parameters(), lr=0.1)
        net.schedule = thixo.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 1.0 if net else 0.0)
        net.schedule.step()
        return net.marker

    def loader():
        class Data(thixo.utils.data.Dataset):
            def __len__(self):
                return 4

            def __getitem__(self, i):
                return thixo.ones(1) * i

        data = Data()
        data.marker = Marker()
        half = thixo.utils.data.Subset(data, [0, 1])
        data.loaders = [thixo.utils.data.DataLoader(d, batch_size=2) for d in (data, half)]
        assert [len(list(loader)) for loader in data.loaders] == [2, 1]
        return data.marker

    class Keeps(thixo.autograd.Function):
        @staticmethod
        def forward(ctx, x, other):
            ctx.other, ctx.y = other, x * 2
            return ctx.y

        @staticmethod
        def backward(ctx, g):
            return g, None

    def result_in_context():
        y = Keeps.apply(thixo.ones(1, requires_grad=True), None)
        y.marker = Marker()
        return y.marker

    def module_in_context():
        net = nn.Linear(1, 1)
        net.marker = Marker()
        net.out = Keeps.apply(net.weight, net)
        return net.marker

    for make in (leaf_hook, weight_hook, schedule, loader, result_in_context, module_in_context):
        assert collected(make), make.__name__


def test_contexts_in_use_are_not_collected():
    class Keeps(thixo.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.y, ctx.factor = x * 2, [2]
            return ctx.y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.factor[0]

    x = thixo.ones(1, requires_grad=True)
    y = Keeps.apply(x)
    z = y * 3
    del y
    gc.collect()
    z.backward()
    assert x.grad == 6


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
