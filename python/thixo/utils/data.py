"""Data sets and the loader, which prepares batches on threads in an order that does not depend on them."""

import atexit

from .. import _thixo
from .._thixo import Tensor

_core = _thixo._training
atexit.register(_core._end_batches)


class Dataset:
    """Samples by index: define __getitem__ and __len__.

    >>> class Squares(thixo.utils.data.Dataset):
    ...     def __getitem__(self, i): return thixo.tensor(i * i)
    ...     def __len__(self): return 4
    >>> [b.tolist() for b in thixo.utils.data.DataLoader(Squares(), batch_size=4)]
    [[0, 1, 4, 9]]
    """

    def __getitem__(self, index):
        raise _thixo.NotImplementedError("a Dataset needs a method __getitem__(index)")


class TensorDataset(Dataset):
    """Rows of tensors whose first dims are equal.

    >>> thixo.utils.data.TensorDataset(thixo.arange(3), thixo.ones(3))[2]
    (tensor(2), tensor(1.))
    """

    def __init__(self, *tensors):
        _core._TensorDataset(list(tensors))  # checks them
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        return len(self.tensors[0])


class Subset(Dataset):
    """Some samples of another data set.

    >>> whole = thixo.utils.data.TensorDataset(thixo.arange(4))
    >>> thixo.utils.data.Subset(whole, [3, 1])[0]
    (tensor(3),)
    """

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, list(indices)

    def __getitem__(self, index):
        return self.dataset[self.indices[index]]

    def __len__(self):
        return len(self.indices)


def _plain(dataset, cls):
    """Whether a data set gives the samples that cls would give: a subclass may have others."""
    t = type(dataset)
    return isinstance(dataset, cls) and t.__getitem__ is cls.__getitem__ and t.__len__ is cls.__len__


def _source(dataset):
    """The data set for C++ to read without Python; None where its samples are Python's."""
    if _plain(dataset, TensorDataset) and not any(t.requires_grad for t in dataset.tensors):
        return _core._TensorDataset(list(dataset.tensors))
    if _plain(dataset, Subset):
        source = _source(dataset.dataset)
        if source is not None and all(type(i) is int and 0 <= i < len(source) for i in dataset.indices):
            return _core._Subset(source, dataset.indices)
    return None


def _differ(what, first, i, other):
    raise _thixo.ValueError(
        f"default_collate: samples of one batch differ in {what}\n"
        f"  got   sample 0: {first}   sample {i}: {other}\n"
        "  fix   bring them to one form, or give the loader a collate_fn"
    )


def _collate_dicts(batch):
    first = batch[0]
    for i, sample in enumerate(batch):
        if sample.keys() != first.keys():
            _differ("their keys", list(first), i, list(sample))
    return {k: default_collate([sample[k] for sample in batch]) for k in first}


def _collate_sequences(batch):
    first = batch[0]
    for i, sample in enumerate(batch):
        if len(sample) != len(first):
            _differ("length", len(first), i, len(sample))
    columns = [default_collate(column) for column in zip(*batch, strict=True)]
    return type(first)(*columns) if hasattr(first, "_fields") else columns


def default_collate(batch):
    """Samples as one batch: tensors, arrays and numbers are stacked, dicts and sequences hold batches of their parts.

    >>> thixo.utils.data.default_collate([(thixo.ones(2), {"label": 3}), (thixo.zeros(2), {"label": 4})])
    [tensor([[1., 1.],
            [0., 0.]]), {'label': tensor([3, 4])}]
    """
    first = batch[0]
    if isinstance(first, dict):
        return _collate_dicts(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, (list, tuple)):
        return _collate_sequences(batch)
    if isinstance(first, float) and not hasattr(first, "dtype"):  # an np.float64 is a float too
        return _thixo.tensor([float(v) for v in batch], dtype=_thixo.float64)
    if isinstance(first, int):
        return _thixo.tensor(batch)
    if isinstance(first, Tensor) or hasattr(first, "__array_interface__"):
        tensors = [v if isinstance(v, Tensor) else _thixo.tensor(v) for v in batch]
        stack = _thixo.ops.stack if any(t.requires_grad for t in tensors) else _core._collate
        return stack(tensors)
    raise TypeError(
        f"default_collate: a sample holds a {type(first).__name__}, where tensors, arrays, numbers, strings, dicts and "
        "lists can be\n  fix   give the loader a collate_fn"
    )


class DataLoader:
    """Batches of a data set, prepared by num_workers threads, in an order that does not depend on them.

    Each epoch draws its seed from the generator (unless there is a seed). What samples draw from the default generator
    is the same for any number of workers from one on.

    >>> ds = thixo.utils.data.TensorDataset(thixo.arange(4))
    >>> [b.tolist() for (b,) in thixo.utils.data.DataLoader(ds, batch_size=2)]
    [[0, 1], [2, 3]]
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=False,
        num_workers=0,
        drop_last=False,
        prefetch_factor=2,
        generator=None,
        seed=None,
        collate_fn=None,
    ):
        for name, value in (("batch_size", batch_size), ("num_workers", num_workers)):
            if not hasattr(value, "__index__"):
                raise TypeError(f"DataLoader: {name} must be an int, not {type(value).__name__}")
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(
                f"DataLoader: dataset needs __getitem__ and __len__, which a {type(dataset).__name__} lacks"
            )
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(f"DataLoader: collate_fn must be a function, not a {type(collate_fn).__name__}")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.num_workers, self.generator, self.seed = num_workers, generator, seed
        self.prefetch_factor = 2 if prefetch_factor is None else prefetch_factor
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self._epoch = 0
        self._loader()  # checks the settings

    def _loader(self):
        """The loader in C++ for one epoch. It is not kept: garbage is not found in cycles through C++."""
        source = _source(self.dataset) if self.collate_fn is default_collate else None
        self._of_python = source is None
        return _core._DataLoader(
            _core._Sized(len(self.dataset)) if source is None else source,
            self.batch_size,
            bool(self.shuffle),
            bool(self.drop_last),
            self.num_workers,
            self.prefetch_factor,
            self.seed,
            self.generator,
            self._epoch,
        )

    def __len__(self):
        return len(self._loader())

    def __iter__(self):
        loader = self._loader()
        self._epoch += 1
        return _run(loader._begin(self.num_workers, self.dataset, self.collate_fn if self._of_python else None))


def _run(batches):
    try:
        yield from batches
    finally:
        batches._close()


def digits():
    """1,797 handwritten digits of 8x8 pixels: images [1797, 1, 8, 8] from 0 to 1, labels [1797] (UCI, CC BY 4.0).

    >>> images, labels = thixo.utils.data.digits()
    >>> images.shape
    thixo.Size([1797, 1, 8, 8])
    """
    return _core._digits()


def digits_split(test_size=360, seed=0):
    """Training images and labels, held-out images and labels: of each class the same share.

    >>> [len(t) for t in thixo.utils.data.digits_split()]
    [1437, 1437, 360, 360]
    """
    return _core._digits_split(test_size, seed)
