"""Tensors to and from NumPy, DLPack, pickle and files: no copy where none is needed, and nothing freed too early."""

import copy
import gc
import io
import os
import pickle
import weakref

import numpy as np
import pytest
import thixo

DTYPES = [np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8, np.uint16, np.uint32]
DTYPES += [np.uint64, np.bool_, np.complex64, np.complex128]
ROUTES = {
    "numpy": (thixo.from_numpy, lambda t: t.numpy()),
    "dlpack": (thixo.from_dlpack, np.from_dlpack),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_both_ways_without_a_copy(route, dtype):
    there, back = ROUTES[route]
    a = np.arange(6).reshape(2, 3).astype(dtype)
    t = there(a)
    assert str(t.dtype) == f"thixo.{np.dtype(dtype).name}"
    b = back(t)
    assert b.dtype == dtype
    np.testing.assert_array_equal(a, b)
    a[0, 0] = 1
    assert t[0, 0].item() == 1 and b[0, 0] == 1


@pytest.mark.parametrize("route", ROUTES)
def test_views_share_too(route):
    there, back = ROUTES[route]
    a = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(there(a[::2, 1:4].T).tolist(), a[::2, 1:4].T)
    t = thixo.arange(24.0).view(4, 6)[1:, ::2].t()
    b = back(t)
    np.testing.assert_array_equal(b, t.tolist())
    t.zero_()
    assert (b == 0).all()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_no_dims_and_no_elements(shape):
    assert thixo.ones(shape).numpy().shape == shape
    assert tuple(thixo.from_numpy(np.ones(shape)).shape) == shape


class Watched(np.ndarray):
    """An array that can be watched."""


def test_a_tensor_keeps_the_array_and_lets_it_go():
    a = np.ones(1000).view(Watched)
    gone = weakref.ref(a)
    t = thixo.from_numpy(a)[10:]
    del a
    gc.collect()
    assert gone() is not None and t[0].item() == 1
    del t
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("to_array", [lambda t: t.numpy(), np.from_dlpack], ids=["numpy", "dlpack"])
def test_an_array_keeps_the_tensor_and_lets_it_go(to_array):
    thixo.ones(1)
    before = thixo.memory_stats()["allocated"]
    a = to_array(thixo.full((1 << 16,), 7.0))
    gc.collect()
    junk = [thixo.zeros(1 << 16) for _ in range(4)]  # would land in memory that was freed too early
    assert (a == 7).all()
    del a, junk
    gc.collect()
    assert thixo.memory_stats()["allocated"] <= before


def test_a_dlpack_capsule_gives_its_data_once():
    x = thixo.ones(3)
    assert x.__dlpack_device__() == (1, 0)
    c = x.__dlpack__(max_version=(1, 0))
    assert "dltensor_versioned" in repr(c)
    y = thixo.from_dlpack(c)
    assert y.data_ptr() == x.data_ptr()
    with pytest.raises(ValueError, match="taken before"):
        thixo.from_dlpack(c)
    assert '"dltensor"' in repr(x.__dlpack__())  # and lets go of one that nobody took
    assert thixo.from_dlpack(x.__dlpack__(copy=True)).data_ptr() != x.data_ptr()
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(TypeError, match="__dlpack__"):
        thixo.from_dlpack([1, 2])


def test_what_cannot_be_shared_says_why():
    with pytest.raises(ValueError, match="detach"):
        thixo.ones(1, requires_grad=True).numpy()
    assert thixo.ones(1, requires_grad=True).numpy(force=True).tolist() == [1]
    with pytest.raises(TypeError, match="bfloat16"):
        thixo.ones(1, dtype=thixo.bfloat16).numpy()
    with pytest.raises(ValueError, match="negative strides"):
        thixo.from_numpy(np.arange(3)[::-1])
    with pytest.raises(TypeError, match="not supported"):
        thixo.from_numpy(np.array(["a", "b"]))
    with pytest.raises(TypeError, match="an array is needed, not list"):
        thixo.from_numpy([1, 2])
    frozen = np.ones(2)
    frozen.flags.writeable = False
    with pytest.warns(UserWarning, match="read-only"):
        thixo.from_numpy(frozen)


def test_tensor_takes_arrays_and_numpy_numbers():
    a = np.arange(3)
    t = thixo.tensor(a)
    a[0] = 9
    assert t.tolist() == [0, 1, 2]
    assert thixo.tensor([np.float32(1.5), 2]).tolist() == [1.5, 2]
    assert thixo.tensor([np.arange(2), np.arange(2)]).shape == (2, 2)
    assert (thixo.ones(2) * np.float64(2)).tolist() == [2, 2]
    assert thixo.as_tensor(a).data_ptr() == a.ctypes.data


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8", "bool", "complex64", "float64"])
def test_pickle_and_deepcopy_keep_every_bit(dtype):
    t = thixo.tensor([[1, 0, 1], [0, 1, 1]]).to(getattr(thixo, dtype)).t()
    for u in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t)):
        assert u.dtype == t.dtype and u.shape == t.shape
        assert thixo.equal(u, t)
        assert u.data_ptr() != t.data_ptr()


def test_pickle_and_deepcopy_keep_attributes_and_identity():
    p = thixo.nn.Parameter(thixo.ones(2))
    p.note = ["mine"]
    p.grad = thixo.zeros(2)
    twins = copy.deepcopy([p, p])
    assert twins[0] is twins[1] and twins[0] is not p
    assert twins[0].note == ["mine"] and twins[0].note is not p.note
    assert twins[0].grad.tolist() == [0, 0]
    again = pickle.loads(pickle.dumps([p, p]))
    assert again[0] is again[1] and type(again[0]) is thixo.nn.Parameter and again[0].note == ["mine"]
    with pytest.raises(ValueError, match="leaf"):
        copy.deepcopy(p * 2)


def test_dtypes_are_singletons_through_pickle():
    assert pickle.loads(pickle.dumps(thixo.float16)) is thixo.float16


def test_save_and_load(tmp_path):
    path = tmp_path / "state.safetensors"
    state = {"step": 3, 7: [thixo.ones(2), (thixo.arange(2), None)], "lr": 0.1, "name": "x", "a.b": thixo.zeros(1)}
    thixo.save(state, path)
    back = thixo.load(path)
    assert list(back) == list(state)
    assert back["step"] == 3 and back["lr"] == 0.1 and back["name"] == "x"
    assert back[7][0].tolist() == [1, 1] and back[7][1][0].tolist() == [0, 1] and back[7][1][1] is None
    thixo.save(thixo.ones(2), path)
    assert thixo.load(path).tolist() == [1, 1]
    assert path.read_bytes()[8:9] == b"{"  # safetensors, no pickle
    with pytest.raises(ValueError, match="state_dict"):
        thixo.save({"net": thixo.nn.Linear(1, 1)}, path)


def test_a_resumed_training_goes_on_bit_for_bit(tmp_path):
    def made():
        thixo.manual_seed(0)
        net = thixo.nn.Sequential(thixo.nn.Linear(3, 4), thixo.nn.Tanh(), thixo.nn.Linear(4, 1))
        return net, thixo.optim.Adam(net.parameters(), lr=0.1)

    def train(net, opt, steps):
        x = thixo.linspace(-1, 1, 12).view(4, 3)
        for _ in range(steps):
            opt.zero_grad()
            net(x).square().sum().backward()
            opt.step()

    one, opt = made()
    train(one, opt, 3)
    thixo.save({"net": one.state_dict(), "opt": opt.state_dict()}, tmp_path / "c.safetensors")
    train(one, opt, 3)
    two, opt = made()
    saved = thixo.load(tmp_path / "c.safetensors")
    two.load_state_dict(saved["net"])
    opt.load_state_dict(saved["opt"])
    train(two, opt, 3)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert thixo.equal(a, b)


def test_numpy_files(tmp_path):
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "a.npy", np.asfortranarray(a))
    np.testing.assert_array_equal(thixo.load_npy(str(tmp_path / "a.npy")).numpy(), a)
    thixo.save_npy(str(tmp_path / "b.npy"), thixo.tensor(a))
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), a)
    with pytest.raises(OSError, match=r"nothing\.npy"):
        thixo.load_npy(str(tmp_path / "nothing.npy"))


def test_numpy_files_are_read_once(tmp_path):
    a = np.ones(1000, "f")
    np.save(tmp_path / "a.npy", a)
    np.savez(tmp_path / "a.npz", a=a)
    x, z = thixo.load_npy(tmp_path / "a.npy"), thixo.load_npz(tmp_path / "a.npz")["a"]
    for file in ("a.npy", "a.npz"):
        with open(tmp_path / file, "r+b") as f:  # the same file, other bytes
            f.write(bytes(5000))
            f.truncate(10)
    assert x.sum().item() == z.sum().item() == 1000


@pytest.mark.parametrize("kind", [lambda p: p, str, lambda p: os.fsencode(p)], ids=["Path", "str", "bytes"])
def test_paths_of_every_kind(tmp_path, kind):
    x = thixo.ones(2)
    thixo.save_file({"x": x}, kind(tmp_path / "a.safetensors"), {"by": "me"})
    assert thixo.load_metadata(kind(tmp_path / "a.safetensors")) == {"by": "me"}
    assert thixo.equal(thixo.load_file(kind(tmp_path / "a.safetensors"))["x"], x)
    thixo.save_npy(kind(tmp_path / "a.npy"), x)
    assert thixo.equal(thixo.load_npy(kind(tmp_path / "a.npy")), x)
    np.savez(tmp_path / "a.npz", x=x.numpy())
    assert thixo.equal(thixo.load_npz(kind(tmp_path / "a.npz"))["x"], x)
    net = thixo.nn.Linear(2, 1)
    net.save(kind(tmp_path / "net.safetensors"))
    net.load(kind(tmp_path / "net.safetensors"))


def test_a_path_with_a_zero_byte_is_none(tmp_path):
    with pytest.raises(ValueError, match="zero byte"):
        thixo.save_npy(f"{tmp_path}/a\0b", thixo.ones(2))
    with pytest.raises(ValueError, match="zero byte"):
        thixo.load_file(f"{tmp_path}/a\0b")
    assert not list(tmp_path.iterdir())


def test_errors_about_bytes_that_are_no_text(tmp_path):
    header = b"{'descr': '<\xff4', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(4))
    with pytest.raises(NotImplementedError, match="elements of the type '<\ufffd4'"):
        thixo.load_npy(tmp_path / "a.npy")
    with pytest.raises(OSError, match="\ufffd"):
        thixo.load_npy(os.fsencode(tmp_path) + b"/\xff.npy")


def test_files_of_more_dims_than_a_tensor_has(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((1,) * 9))
    with pytest.raises(NotImplementedError, match="has more than 8 dims"):
        thixo.load_npy(tmp_path / "a.npy")


def test_files_must_be_paths():
    with pytest.raises(TypeError):
        thixo.save({}, io.BytesIO())
