"""Optimizers and schedules as PyTorch's scripts use them: groups as dicts, state, copies, chains, errors."""

import copy
import gc
import math
import pickle
import weakref

import pytest
import thixo
from thixo import nn, optim
from thixo.optim import lr_scheduler as sched


def parameter(value=1.0):
    return thixo.full((2,), value).requires_grad_()


def step(opt, grad=1.0):
    for g in opt.param_groups:
        for p in g["params"]:
            p.grad = thixo.full((2,), grad)
    opt.step()


def test_groups_are_dicts():
    opt = optim.Adam([{"params": [parameter()], "lr": 0.5, "name": "head"}, {"params": [parameter()], "lr_mult": 2}])
    g, other = opt.param_groups
    assert isinstance(g, dict) and len(g) == len(dict(g)) == 8
    assert g["lr"] == 0.5 and g["betas"] == (0.9, 0.999) and g["amsgrad"] is False and g["name"] == "head"
    assert other["lr_mult"] == 2
    assert g.setdefault("lr", 7) == 0.5 and g.setdefault("mine", [1]) == [1]
    g.update(lr=0.25, betas=(0.8, 0.99), amsgrad=True)
    again = opt.param_groups[0]
    assert (again["lr"], again["betas"], again["amsgrad"], again["mine"]) == (0.25, (0.8, 0.99), True, [1])
    assert {**again}.keys() == dict(again).keys() == set(again) and (again | {"x": 1})["x"] == 1
    assert again.pop("mine") == [1] and "mine" not in opt.param_groups[0]
    assert type(copy.deepcopy(again)) is dict
    with pytest.raises(ValueError, match="a setting that every group has"):
        del again["lr"]


def test_groups_can_be_added():
    opt = optim.SGD([parameter()], lr=1.0)
    opt.param_groups.append({"params": [parameter()], "lr": 0.5, "name": "late"})
    opt.add_param_group({"params": parameter()})
    assert [g["lr"] for g in opt.param_groups] == [1.0, 0.5, 1.0] and opt.param_groups[1]["name"] == "late"
    step(opt)
    assert [g["params"][0][0].item() for g in opt.param_groups] == [0, 0.5, 0]
    with pytest.raises(NotImplementedError, match="cannot be taken out"):
        opt.param_groups.clear()


def test_named_parameters():
    net = nn.Linear(2, 3)
    opt = optim.AdamW(net.named_parameters(), lr=0.1)
    assert opt.param_groups[0]["param_names"] == ["weight", "bias"]
    assert opt.param_groups[0]["params"][0] is net.weight


def test_state_defaults_and_repr():
    p, q = parameter(), parameter()
    opt = optim.Adam([p, q], lr=0.5)
    p.grad = thixo.ones(2)
    opt.step()
    assert opt.state[p]["step"] == 1 and list(opt.state[p]) == ["step", "exp_avg", "exp_avg_sq"]
    opt.state[p]["exp_avg"].zero_()
    assert opt.state[p]["exp_avg"].tolist() == [0, 0]
    assert list(opt.state) == [p] and opt.state[q] == {}
    assert opt.defaults["lr"] == 0.5 and opt.defaults["betas"] == (0.9, 0.999) and opt.defaults["amsgrad"] is False
    assert repr(opt).startswith("Adam (\nParameter Group 0\n    amsgrad: False\n    betas: (0.9, 0.999)\n")


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), lambda p: optim.Adam(p, lr=0.1)])
def test_copies_go_on_alike(make, duplicate):
    opt = make([{"params": [parameter()], "name": "a"}, {"params": [parameter(2.0)], "lr": 0.5}])
    sched.OneCycleLR(opt, [0.5, 1.0], 10)
    step(opt)
    other = duplicate(opt)
    assert type(other) is type(opt) and other.param_groups[0]["name"] == "a"
    for o in (opt, other):
        step(o, 0.5)
    for a, b in zip(opt.param_groups, other.param_groups, strict=True):
        assert a["params"][0] is not b["params"][0] and thixo.equal(a["params"][0], b["params"][0])
        assert {k: v for k, v in a.items() if k != "params"} == {k: v for k, v in b.items() if k != "params"}


def test_a_subclass_of_sgd():
    class Mine(optim.SGD):
        def __init__(self, params, extra):
            super().__init__(params, lr=0.5)
            self.extra = extra

    opt = copy.deepcopy(Mine([parameter()], "x"))
    assert type(opt) is Mine and opt.extra == "x"
    step(opt)
    assert opt.param_groups[0]["params"][0].tolist() == [0.5, 0.5]

    class Whole(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

    with pytest.raises(NotImplementedError, match="an optimizer written in Python is not there yet"):
        Whole([parameter()])


def test_a_state_of_fewer_parameters_is_refused():
    opt = optim.SGD([parameter(), parameter()], lr=0.5)
    with pytest.raises(ValueError, match="differs in its number of parameters"):
        opt.load_state_dict(optim.SGD([parameter()], lr=0.25).state_dict())
    assert opt.param_groups[0]["lr"] == 0.5


def test_a_closure_has_gradients():
    p = parameter()
    opt = optim.SGD([p], lr=0.5)

    def closure():
        opt.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with thixo.no_grad():
        assert opt.step(closure).item() == 2
    assert p.tolist() == [0, 0]


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: optim.SGD([1, 2]), "SGD: params has a int, where tensors belong"),
        (lambda: optim.SGD(parameter()), "SGD: params must be tensors or dicts in an order, not a Tensor"),
        (lambda: optim.Adam(3), "Adam: params must be"),
        (lambda: optim.Adam([parameter()], lr="fast"), "Adam: lr must be a number, not str"),
        (lambda: optim.Adam([parameter()], betas=0.9), "Adam: betas must be two numbers"),
        (lambda: optim.SGD([{"params": {parameter()}}]), "must be tensors in an order, not a set"),
        (lambda: optim.SGD([{"params": [parameter()]}, parameter()]), "a group must be a dict"),
        (lambda: sched.StepLR(nn.Linear(1, 1), 2), "StepLR: optimizer must be an Optimizer, not a Linear"),
        (lambda: sched.StepLR(optim.SGD([parameter()]), "x"), "StepLR: step_size must be an int, not str"),
        (lambda: sched.StepLR(optim.SGD([parameter()])), "missing 1 required positional argument: 'step_size'"),
        (lambda: sched.ExponentialLR(optim.SGD([parameter()]), None), "gamma must be a number, not NoneType"),
        (lambda: sched.LambdaLR(optim.SGD([parameter()]), 3), "lr_lambda must be a function of the epoch, not a int"),
    ],
)
def test_wrong_arguments(make, text):
    with pytest.raises(TypeError) as e:
        make()
    assert text in str(e.value) and "incompatible function arguments" not in str(e.value)


def rates(opt, schedules, n):
    out = []
    for _ in range(n):
        out.append(opt.param_groups[0]["lr"])
        for s in schedules:
            s.step()
    return out


def test_schedules_chain():
    opt = optim.SGD([parameter()], lr=2.0)
    schedules = [sched.ExponentialLR(opt, 0.5), sched.StepLR(opt, 2, 0.1)]
    assert rates(opt, schedules, 4) == pytest.approx([2, 1, 0.05, 0.025])
    opt.param_groups[0]["lr"] = 8.0
    assert rates(opt, schedules, 2) == pytest.approx([8, 4])
    assert schedules[0].base_lrs == [2.0] and schedules[0].optimizer is opt and schedules[0].last_epoch == 6


def test_a_group_added_after_the_schedule():
    opt = optim.SGD([parameter()], lr=2.0)
    s = sched.StepLR(opt, 1, 0.5)
    opt.add_param_group({"params": [parameter()], "lr": 8.0})
    s.step()
    assert s.get_last_lr() == [1.0, 4.0]


def test_one_cycle_has_pytorchs_arguments():
    opt = optim.SGD([{"params": [parameter()]}, {"params": [parameter()]}], lr=1.0, momentum=0.9)
    s = sched.OneCycleLR(
        opt, [1.0, 2.0], total_steps=11, pct_start=3 / 11, anneal_strategy="linear", base_momentum=0.5,
        max_momentum=[0.7, 0.9], div_factor=10, final_div_factor=10, three_phase=True,
    )  # fmt: skip
    got = [(g["lr"], g["momentum"]) for _ in range(6) for g in [opt.param_groups[1]] for _ in [s.step()]]
    assert [m for _, m in got] == pytest.approx([0.7, 0.5, 0.7, 0.9, 0.9, 0.9])
    opt = optim.SGD([parameter()], lr=1.0)
    sched.OneCycleLR(opt, 1.0, epochs=2, steps_per_epoch=5, cycle_momentum=False)
    assert opt.param_groups[0]["momentum"] == 0 and opt.param_groups[0]["initial_lr"] == pytest.approx(1 / 25)
    with pytest.raises(ValueError, match="give total_steps"):
        sched.OneCycleLR(opt, 1.0)
    with pytest.raises(ValueError, match="max_lr has 2 values"):
        sched.OneCycleLR(opt, [1.0, 2.0], 10)


def test_lambdas_of_each_group():
    opt = optim.SGD([{"params": [parameter()]}, {"params": [parameter()]}], lr=1.0)
    s = sched.LambdaLR(opt, [lambda t: 2.0**t, lambda t: 0.5**t])
    s.step()
    assert s.get_last_lr() == [2, 0.5]
    with pytest.raises(ValueError, match="1 functions"):
        sched.LambdaLR(opt, [lambda t: 1.0])


def test_a_function_that_knows_its_schedule_is_let_go():
    def make():
        net = nn.Linear(2, 2)
        net.schedule = sched.LambdaLR(optim.SGD(net.parameters()), lambda t: float(net.training))
        net.schedule.step()
        return weakref.ref(net)

    gone = make()
    gc.collect()
    assert gone() is None


def test_schedules_go_on():
    p = parameter()
    opt = optim.SGD([p], lr=1.0)
    s = sched.CosineAnnealingLR(opt, 10)
    for _ in range(3):
        s.step()
    saved, state = opt.state_dict(), s.state_dict()
    assert state == {"last_epoch": 3, "base_lrs": [1.0], "_last_lr": s.get_last_lr()}
    opt = optim.SGD([p], lr=1.0)
    again = sched.CosineAnnealingLR(opt, 10)
    opt.load_state_dict(saved)
    again.load_state_dict(state)
    s.step()
    again.step()
    assert again.get_last_lr() == s.get_last_lr()
    with pytest.raises(ValueError, match="no 'initial_lr'"):
        sched.StepLR(optim.SGD([p]), 2, last_epoch=3)
    opt = optim.SGD([{"params": [p], "initial_lr": 1.0}], lr=0.1)
    assert sched.CosineAnnealingLR(opt, 10, last_epoch=4).last_epoch == 5
    assert opt.param_groups[0]["lr"] == pytest.approx((1 + math.cos(math.pi / 2)) / 2)
