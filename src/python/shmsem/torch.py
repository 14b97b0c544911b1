"""Images for PyTorch: tensors without a copy, and a folder of classes as torchvision has it."""

import os

import numpy
import torch
import torch.utils.data
from torch.utils._pytree import tree_flatten, tree_map

import shmsem
from shmsem._errors import UsageError

__all__ = ["ImageFolder", "ReadOnlyTensor", "loader", "tensor"]

_EXTENSIONS = (".jpg", ".jpeg", ".png")


class ReadOnlyTensor(torch.Tensor):
    """A tensor over shared memory: what would change it raises RuntimeError, and does not end the process.

    Its views are read-only, too; what is computed from it is a plain tensor.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, plain):
        made = torch.Tensor._make_subclass(cls, plain)
        made._plain = plain
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for argument, value in zip(function._schema.arguments, args):
            _check(function, argument, value)
        for argument in function._schema.arguments[len(args) :]:
            _check(function, argument, kwargs.get(argument.name))
        result = function(*tree_map(_unwrap, args), **tree_map(_unwrap, kwargs))
        shown = {_start(value) for value in tree_flatten((args, kwargs))[0] if _shows(value)}
        return tree_map(lambda value: _wrap(value, shown), result)

    def numpy(self):
        array = self._plain.numpy()
        array.flags.writeable = False
        return array

    def __array__(self, dtype=None):
        array = self.numpy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def new(self, *args, **kwargs):
        return self._plain.new(*args, **kwargs)

    def __repr__(self):
        return repr(self._plain)

    def __format__(self, form):
        return format(self._plain, form)

    def __reduce_ex__(self, protocol):
        return self._plain.clone().__reduce_ex__(protocol)

    def __deepcopy__(self, memo):
        return self._plain.clone()


def _shows(value):
    return isinstance(value, ReadOnlyTensor)


def _check(function, argument, value):
    """The schema says of each argument whether it is written to."""
    written = argument.alias_info is not None and argument.alias_info.is_write
    values = value if isinstance(value, (list, tuple)) else (value,)
    if written and any(map(_shows, values)):
        raise RuntimeError(
            f"{function._schema.name} would change an image in shared memory;"
            " take tensor(copy=True), or clone()"
        )


def _unwrap(value):
    return value._plain if _shows(value) else value


def _start(value):
    return _unwrap(value).storage().data_ptr()


def _wrap(value, shown):
    if isinstance(value, torch.Tensor) and not _shows(value) and _start(value) in shown:
        return ReadOnlyTensor(value)
    return value


class _Writable:
    """An image as an array that numpy believes to be writable, so that torch does not warn."""

    def __init__(self, image):
        array = numpy.asarray(image)
        self.shown = array
        self.__array_interface__ = {
            **array.__array_interface__,
            "data": (array.__array_interface__["data"][0], False),
        }


def tensor(image, copy=False):
    """What Image.tensor() gives."""
    if not hasattr(torch, image.dtype):
        raise UsageError("this torch has no 16-bit samples; fetch without native_depth")
    if copy:
        made = torch.empty(image.shape, dtype=getattr(torch, image.dtype))
        image.copy_into(made.numpy())
        return made
    return ReadOnlyTensor(torch.from_numpy(numpy.asarray(_Writable(image))))


def loader(root, *, namespace=None, **options):
    """A loader for torchvision.datasets.ImageFolder(root, loader=…): PIL images of a server of `root`."""
    options = {"channels": 3, **options}

    def load(path):
        return _pillow(shmsem.fetch(os.path.relpath(path, root), namespace=namespace, **options))

    return load


def _pillow(image):
    from PIL import Image as Pillow

    with image:
        return Pillow.fromarray(image if image.shape[2] > 1 else numpy.asarray(image)[:, :, 0])


class ImageFolder(torch.utils.data.Dataset):
    """torchvision's ImageFolder over a server: CLASS/…/NAME, below the folder `root` of the server's.

    Samples are PIL images, as torchvision's are, or, with `loader`, what it makes of a shmsem.Image:
    for instance loader=shmsem.Image.tensor. Further options are those of shmsem.fetch.
    """

    def __init__(
        self,
        root="",
        transform=None,
        target_transform=None,
        loader=_pillow,
        is_valid_file=None,
        *,
        namespace=None,
        **options,
    ):
        self.root = root.strip("/")
        self.transform = transform
        self.target_transform = target_transform
        self.loader = loader
        self.namespace = namespace
        self.options = {"channels": 3, **options}
        below = f"{self.root}/" if self.root else ""
        valid = is_valid_file or (lambda name: name.lower().endswith(_EXTENSIONS))
        found = []
        for name in shmsem.names(namespace=namespace):
            kind, slash, _ = name[len(below) :].partition("/")
            if slash and name.startswith(below) and valid(name):
                found.append((kind, name))
        self.classes = sorted({kind for kind, _ in found})
        self.class_to_idx = {kind: index for index, kind in enumerate(self.classes)}
        self.samples = sorted(
            ((name, self.class_to_idx[kind]) for kind, name in found),
            key=lambda sample: (sample[1], sample[0]),
        )
        self.imgs = self.samples
        self.targets = [target for _, target in self.samples]

    def __getitem__(self, index):
        name, target = self.samples[index]
        sample = self.loader(shmsem.fetch(name, namespace=self.namespace, **self.options))
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return sample, target

    def __len__(self):
        return len(self.samples)
