"""Data sets and the loader, which prepares batches on threads in an order that does not depend on them."""

import atexit
import weakref

from .. import _thixo

_core = _thixo._training
atexit.register(_core._end_batches)


class Dataset:
    """Samples by index: define __getitem__ and __len__.

    >>> class Squares(thixo.utils.data.Dataset):
    ...     def __getitem__(self, i): return thixo.tensor(i * i)
    ...     def __len__(self): return 4
    >>> [b[0].tolist() for b in thixo.utils.data.DataLoader(Squares(), batch_size=4)]
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
        self.tensors = tensors
        self._source = _core._TensorDataset(list(tensors))

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        return len(self._source)


class Subset(Dataset):
    """Some samples of another data set.

    >>> whole = thixo.utils.data.TensorDataset(thixo.arange(4))
    >>> thixo.utils.data.Subset(whole, [3, 1])[0]
    (tensor(3),)
    """

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, list(indices)
        self._source = _core._Subset(_source(dataset), self.indices)

    def __getitem__(self, index):
        return self.dataset[self.indices[index]]

    def __len__(self):
        return len(self.indices)


class _Watched:
    """What C++ holds of a data set of Python's: who holds the loader holds the data set, and there the garbage
    collector sees it."""

    def __init__(self, dataset):
        self.of = weakref.ref(dataset)

    def __getitem__(self, index):
        return self.of()[index]

    def __len__(self):
        return len(self.of())


def _source(dataset):
    own = getattr(dataset, "_source", None)
    if own is not None:
        return own
    try:
        return _core._python_dataset(_Watched(dataset))
    except TypeError:  # a list has no weak references
        return _core._python_dataset(dataset)


class DataLoader:
    """Batches of a data set.

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
    ):
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self._dataset = dataset  # what the loader reads, whatever `dataset` says later
        if seed is None and generator is not None:
            seed = generator.initial_seed()
        self._loader = _core._DataLoader(
            _source(dataset), batch_size, shuffle, drop_last, num_workers, prefetch_factor, seed
        )

    def __len__(self):
        return len(self._loader)

    def __iter__(self):
        it = self._loader._iterate(0)
        while (batch := it.next()) is not None:
            yield batch


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
