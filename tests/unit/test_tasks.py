"""Classification tasks: splits, preparation, augmentation and what users get wrong."""

import io
import json
import logging
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hwnas.core.errors import HwnasError
from hwnas.core.registry import create, discover
from hwnas.task._scikit import digits
from hwnas.task.augment import crop, flip
from hwnas.task.cifar10 import CIFAR10
from hwnas.task.classification import Classification
from hwnas.task.digits import Digits
from hwnas.task.fashion_mnist import FashionMNIST
from hwnas.task.image_folder import ImageFolder
from hwnas.task.picture import read_picture
from hwnas.task.stratify import interleave, partition
from tests.data import data

Y0 = torch.zeros(0)  # targets, which augmentation of images for classes leaves alone
Y = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(np.array)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def digest(task: Classification) -> list[bytes]:
    return [task.splits[name].x.tobytes() for name in ("train", "valid", "test")]


def check_prepared(task: Classification) -> None:
    """Training examples are float32 of the promised type, mean 0 and deviation 1 by channel."""
    x = torch.from_numpy(task.splits["train"].x)
    kept = x.clone()
    prepared = task.prepare(x)
    axes = [0, *range(2, x.dim())]
    assert prepared.dtype == torch.float32
    assert tuple(prepared.shape[1:]) == task.input.shape
    assert torch.allclose(prepared.mean(axes), torch.zeros(x.shape[1]), atol=1e-3)
    assert torch.allclose(prepared.std(axes), torch.ones(x.shape[1]), atol=1e-3)
    assert torch.equal(x, kept)
    assert torch.equal(prepared[:3], task.prepare(x[:3]))


def check_preprocessing(task: Classification) -> None:
    """A user who has only the JSON gets the same numbers as the task."""
    told = json.loads(json.dumps(task.preprocessing))
    x = task.splits["valid"].x[:7]
    mean, std = (np.array(told[key], dtype=np.float32)[:, None, None] for key in ("mean", "std"))
    own = (x.astype(np.float32) / told["scale"] - mean) / std
    assert told["order"] == "NCHW"
    assert [told["channels"], *told["size"]] == list(x.shape[1:])
    assert np.allclose(own, task.prepare(torch.from_numpy(x)).numpy(), atol=1e-5)


def write_pictures(folder: Path, n: int, level: int, size: tuple[int, int] = (20, 12)) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(level)
    for i in range(n):
        pixels = rng.integers(level, level + 40, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    write_pictures(root / "dark", 10, 0)
    write_pictures(root / "bright", 20, 200)
    return root


def arrays(n: int = 40, **changes: Any) -> dict[str, Any]:
    """What a CIFAR-10 file holds, of noise."""
    rng = np.random.default_rng(0)
    known: dict[str, Any] = {
        "x_train": rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8),
        "y_train": np.arange(n) % 10,
        "x_test": rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8),
        "y_test": np.arange(20) % 10,
    }
    return {name: value for name, value in (known | changes).items() if value is not None}


# Splits


@settings(deadline=None)
@given(Y, st.integers(0, 9))
def test_interleave_is_a_permutation_of_which_every_beginning_is_stratified(
    y: np.ndarray, seed: int
) -> None:
    rows = interleave(y, seed)
    assert sorted(rows) == list(range(len(y)))
    for c in np.unique(y):
        seen = np.cumsum(y[rows] == c)
        fair = np.arange(1, len(y) + 1) * np.mean(y == c)
        assert np.abs(seen - fair).max() <= 3


@settings(deadline=None)
@given(Y, st.floats(0.01, 0.45), st.floats(0.01, 0.45), st.integers(0, 9))
def test_partition_is_disjoint_covering_and_stratified(
    y: np.ndarray, valid: float, test: float, seed: int
) -> None:
    parts = partition(y, [valid, test], seed)
    assert sorted(np.concatenate(parts)) == list(range(len(y)))
    for c in np.unique(y):
        n = int(np.sum(y == c))
        held = [int(np.sum(y[rows] == c)) for rows in parts]
        assert held[0] >= 1
        assert n < 3 or min(held) >= 1
        if n >= 20:
            assert held[1:] == [max(1, round(n * valid)), max(1, round(n * test))]


@settings(max_examples=20, deadline=None)
@given(Y, st.integers(0, 9), st.integers(0, 9))
def test_partition_depends_on_the_seed_only(y: np.ndarray, seed: int, state: int) -> None:
    first = partition(y, [0.2], seed)
    np.random.seed(state)  # noqa: NPY002 (the global state is what must not matter)
    torch.manual_seed(state)
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    second = partition(y, [0.2], seed)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


def test_digits_are_split_60_20_20_by_seed() -> None:
    task = Digits()
    sizes = [len(task.splits[name]) for name in ("train", "valid", "test")]
    assert sum(sizes) == 1797
    assert np.allclose(np.array(sizes) / 1797, [0.6, 0.2, 0.2], atol=0.003)
    for split in task.splits.values():
        assert np.abs(np.bincount(split.y) / len(split) - 0.1).max() < 0.01
        assert (split.x.dtype.name, split.y.dtype.name) == ("uint8", "int64")
    assert digest(Digits()) == digest(task)
    assert digest(Digits(seed=1)) != digest(task)


def test_digits_keep_pixels_and_labels_together() -> None:
    from sklearn.datasets import load_digits

    known: Any = load_digits()
    label = dict(
        zip((i.astype(np.uint8).tobytes() for i in known.images), known.target, strict=True)
    )
    for split in Digits().splits.values():
        assert [label[x.tobytes()] for x in split.x] == split.y.tolist()


@pytest.mark.parametrize("there", [True, False])
def test_digits_are_read_with_and_without_the_file(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.datasets import load_digits

    monkeypatch.setattr(Path, "is_file", lambda _: there)
    known: Any = load_digits()
    for found, expected in zip(digits(), (known.images, known.target), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_digits_are_normalised_and_say_how() -> None:
    check_prepared(Digits())
    check_preprocessing(Digits())
    assert Digits().labels == list("0123456789")
    assert Digits().preprocessing["scale"] == 16


# Metrics


def test_score_is_the_share_misclassified_and_the_mean_cross_entropy() -> None:
    outputs = torch.zeros(4, 10)
    outputs[range(4), [1, 2, 3, 3]] = 5.0
    targets = torch.tensor([1, 2, 3, 4])
    score = Digits().score([(outputs, targets)])
    log_sum = np.log(9 + np.exp(5))
    assert score["error"] == 0.25
    assert score["loss"] == pytest.approx(log_sum - 5 * 3 / 4)
    assert [(m.name, m.goal, m.worst) for m in Digits.metrics] == [
        ("error", "min", 1.0),
        ("loss", "min", None),
    ]


def test_loss_is_differentiable() -> None:
    outputs = torch.zeros(2, 10, requires_grad=True)
    (gradient,) = torch.autograd.grad(Digits().loss(outputs, torch.tensor([0, 1])), outputs)
    assert float(gradient[0, 0]) == pytest.approx(-0.45)


# Augmentation


@pytest.mark.parametrize("task", [CIFAR10(), FashionMNIST()], ids=["cifar10", "fashion_mnist"])
def test_augment_keeps_shape_and_dtype_and_follows_the_generator(task: Classification) -> None:
    x = torch.randn(32, *task.input.shape)
    kept = x.clone()
    once, again, other = (task.augment(x, Y0, generator(seed))[0] for seed in (0, 0, 1))
    assert (once.shape, once.dtype) == (x.shape, x.dtype)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.equal(once, x)
    assert torch.equal(x, kept)


def test_augment_leaves_global_randomness_alone() -> None:
    before = torch.random.get_rng_state()
    CIFAR10().augment(torch.randn(4, 3, 32, 32, generator=generator()), Y0, generator())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_crop_shifts_each_image_by_itself_and_fills_with_zero() -> None:
    x = torch.arange(1, 26).float().reshape(1, 1, 5, 5).repeat(64, 2, 1, 1)
    padded = torch.nn.functional.pad(x[0], (2, 2, 2, 2))
    windows = {(dy, dx): padded[:, dy : dy + 5, dx : dx + 5] for dy in range(5) for dx in range(5)}
    shifts = [
        next(shift for shift, window in windows.items() if torch.equal(window, image))
        for image in crop(x, 2, generator())
    ]
    assert len(set(shifts)) > 15
    assert {dy for dy, _ in shifts} == {dx for _, dx in shifts} == set(range(5))


def test_flip_mirrors_about_half_of_the_images() -> None:
    x = torch.arange(6).float().reshape(1, 1, 2, 3).repeat(200, 1, 1, 1)
    mirrored = [torch.equal(i, x[0].flip(-1)) for i in flip(x, generator())]
    same = [torch.equal(i, x[0]) for i in flip(x, generator())]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_devices_get_the_same_batch() -> None:
    x = torch.randn(16, 3, 32, 32)
    moved = CIFAR10().augment(x.cuda(), Y0, generator())[0]
    assert moved.is_cuda
    assert torch.equal(moved.cpu(), CIFAR10().augment(x, Y0, generator())[0])


# Image sets


def test_fashion_mnist_from_a_file() -> None:
    task = FashionMNIST(file=str(data("fashion_mnist_10k_2k.npz")), valid=0.1)
    assert {name: split.x.shape for name, split in task.splits.items()} == {
        "train": (9000, 1, 28, 28),
        "valid": (1000, 1, 28, 28),
        "test": (2000, 1, 28, 28),
    }
    assert all(np.ptp(np.bincount(s.y)) == 0 for s in task.splits.values())
    check_prepared(task)
    check_preprocessing(task)


def test_cifar10_from_jpegs_decodes_the_right_images() -> None:
    path = data("cifar10_jpeg_full.npz")
    task = CIFAR10(file=str(path), limit=50)
    with np.load(path) as known:
        jpeg, offset, y = known["test_jpeg"], known["test_offset"], known["y_test"]
        assert task.labels == known["classes"].tolist()
    rows = interleave(y, 0)[:50]
    assert task.splits["test"].y.tolist() == y[rows].tolist()
    for row, image in zip(rows[:10], task.splits["test"].x, strict=False):
        own = Image.open(io.BytesIO(jpeg[offset[row] : offset[row + 1]].tobytes()))
        assert np.abs(np.asarray(own).transpose(2, 0, 1).astype(int) - image).max() == 0
    for split in task.splits.values():
        assert split.x.shape == (50, 3, 32, 32)
        assert np.bincount(split.y).tolist() == [5] * 10
    check_prepared(task)


def test_a_limit_decodes_no_more_than_it_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    decode = Image.open

    def counting(*args: Any, **options: Any) -> Image.Image:
        decoded.append(args)
        return decode(*args, **options)

    monkeypatch.setattr(Image, "open", counting)
    path = tmp_path / "jpeg.npz"
    np.savez(path, **jpegs(200))
    assert [len(s) for s in CIFAR10(file=str(path), limit=10).splits.values()] == [10, 10, 10]
    assert len(decoded) == 30


def jpegs(n: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in ("train", "test"):
        blobs = []
        for i in range(n):
            buffer = io.BytesIO()
            Image.new("RGB", (32, 32), (i, i, i)).save(buffer, "JPEG")
            blobs.append(buffer.getvalue())
        found[f"{part}_jpeg"] = np.frombuffer(b"".join(blobs), dtype=np.uint8)
        found[f"{part}_offset"] = np.cumsum([0, *map(len, blobs)])
        found[f"y_{part}"] = np.sort(np.arange(n) % 10)
    return found


def test_a_limit_is_the_beginning_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    np.savez(path, **arrays(200))
    whole, part = CIFAR10(file=str(path)).splits, CIFAR10(file=str(path), limit=20).splits
    assert np.array_equal(part["train"].x, whole["train"].x[:20])
    assert np.bincount(part["train"].y).tolist() == [2] * 10
    other = CIFAR10(file=str(path), seed=3).splits
    assert not np.array_equal(other["train"].x, whole["train"].x)
    assert np.array_equal(other["test"].x, whole["test"].x)


def test_layouts_of_one_image_set_give_the_same_data(tmp_path: Path) -> None:
    last = arrays()
    first = {k: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v[:, None] for k, v in last.items()}
    np.savez(tmp_path / "last.npz", **last)
    np.savez(tmp_path / "first.npz", **first)
    one, two = (CIFAR10(file=str(tmp_path / f"{n}.npz")) for n in ("last", "first"))
    assert digest(one) == digest(two)


def test_a_path_may_hold_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "c.npz", **arrays())
    monkeypatch.setenv("SOMEWHERE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert digest(CIFAR10(file="$SOMEWHERE/c.npz")) == digest(CIFAR10(file="~/c.npz"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"y_test": None}, "y_test is missing"),
        ({"x_train": None}, "x_train is missing"),
        ({"x_train": np.zeros((40, 28, 28), np.uint8)}, r"x_train is uint8 \[40, 28, 28\]"),
        ({"x_test": np.zeros((20, 32, 32, 3), np.float32)}, "x_test is float32"),
        ({"y_train": np.zeros(39, np.int64)}, r"y_train is int64 \[39\] for 40"),
        ({"y_train": np.zeros(40)}, "y_train is float64"),
        ({"y_train": np.array([None] * 40)}, "cannot be read"),
    ],
)
def test_a_file_of_other_content_is_a_clear_error(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    path = tmp_path / "c.npz"
    np.savez(path, **arrays(**changes))
    with pytest.raises(HwnasError, match=f"^task.file: .*{named}"):
        _ = CIFAR10(file=str(path)).splits


def test_files_that_are_no_archive_are_a_clear_error(tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    np.savez(whole, **arrays())
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "empty.npz").touch()
    np.save(tmp_path / "one.npz.npy", np.zeros(3))
    for name in ("absent.npz", "cut.npz", "text.npz", "empty.npz", "one.npz.npy", "."):
        with pytest.raises(HwnasError, match=r"^task\.file: "):
            _ = CIFAR10(file=str(tmp_path / name)).splits


@pytest.mark.parametrize("fault", ["bytes", "offset", "size", "absent"])
def test_broken_jpegs_are_a_clear_error(tmp_path: Path, fault: str) -> None:
    broken = jpegs(20)
    if fault == "bytes":
        broken["train_jpeg"] = np.zeros_like(broken["train_jpeg"])
    elif fault == "offset":
        broken["train_offset"] = broken["train_offset"][::-1]
    elif fault == "absent":
        del broken["test_offset"]
    np.savez(tmp_path / "j.npz", **broken)
    kind = FashionMNIST if fault == "size" else CIFAR10
    with pytest.raises(HwnasError, match=r"^task\.file: .*(train_|test_offset)"):
        _ = kind(file=str(tmp_path / "j.npz")).splits


@pytest.mark.parametrize("kind", [CIFAR10, FashionMNIST])
def test_missing_data_says_both_ways_out(
    tmp_path: Path, kind: Callable[..., Classification]
) -> None:
    with pytest.raises(HwnasError) as caught:
        _ = kind(root=str(tmp_path)).splits
    assert str(tmp_path) in caught.value.message
    assert "task.file" in caught.value.hint
    assert "task.download: true" in caught.value.hint


def test_fashion_mnist_as_torchvision_keeps_it(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    x = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    y = (np.arange(40) % 10).astype(np.uint8)
    for part in ("train", "t10k"):
        images = struct.pack(">4i", 0x803, 40, 28, 28) + x.tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, 40) + y.tobytes())
    splits = FashionMNIST(root=str(tmp_path)).splits
    assert np.array_equal(splits["test"].x[:, 0], x[interleave(y, 0)])
    assert [len(splits[name]) for name in ("train", "valid", "test")] == [30, 10, 40]


def test_cifar10_as_torchvision_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    x = np.random.default_rng(0).integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    y = [i % 10 for i in range(20)]
    for name in ("one", "two"):
        batch = {"data": x.reshape(20, -1), "labels": y}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "meta").write_bytes(pickle.dumps({"label_names": CIFAR10().labels}))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["one", None]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["two", None]])
    meta = {"filename": "meta", "key": "label_names", "md5": None}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    splits = CIFAR10(root=str(tmp_path)).splits
    rows = interleave(np.array(y), 0)
    assert np.array_equal(splits["test"].x, x[rows])
    assert splits["test"].y.tolist() == [y[row] for row in rows]


def test_labels_beyond_the_classes_and_empty_splits_are_errors(tmp_path: Path) -> None:
    np.savez(tmp_path / "beyond.npz", **arrays(y_train=np.arange(40)))
    with pytest.raises(HwnasError, match="train split has labels from 0 to 39"):
        _ = CIFAR10(file=str(tmp_path / "beyond.npz")).splits
    none: dict[str, Any] = {
        "x_test": np.zeros((0, 32, 32, 3), np.uint8),
        "y_test": np.zeros(0, np.int64),
    }
    np.savez(tmp_path / "none.npz", **arrays(**none))
    with pytest.raises(HwnasError, match="test split is empty"):
        _ = CIFAR10(file=str(tmp_path / "none.npz")).splits
    single: dict[str, Any] = {
        "x_train": np.zeros((3, 32, 32, 3), np.uint8),
        "y_train": np.arange(3),
    }
    np.savez(tmp_path / "single.npz", **arrays(**single))
    with pytest.raises(HwnasError, match="valid split is empty"):
        _ = CIFAR10(file=str(tmp_path / "single.npz")).splits


def test_no_classes_are_an_error() -> None:
    class Nothing(Digits):
        @property
        def labels(self) -> list[str]:
            return []

    with pytest.raises(HwnasError, match="no classes"):
        _ = Nothing().splits


# Options


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"name": "digits", "valid": 0.0}, "task.valid"),
        ({"name": "digits", "test": 1.0}, "task.test"),
        ({"name": "digits", "valid": 0.5, "test": 0.5}, r"task.valid \+ task.test"),
        ({"name": "digits", "seed": -1}, "task.seed"),
        ({"name": "digits", "seed": "0"}, "task.seed"),
        ({"name": "cifar10", "limit": 9}, "task.limit"),
        ({"name": "cifar10", "download": "yes"}, "task.download"),
        ({"name": "fashion_mnist", "path": "x"}, "task.path"),
        ({"name": "image_folder"}, "task.root"),
        ({"name": "image_folder", "root": "/", "size": 0}, "task.size"),
        ({"name": "image_folder", "root": "/", "corrupt": "ignore"}, "task.corrupt"),
    ],
)
def test_wrong_options_name_their_key(config: dict[str, Any], key: str) -> None:
    with pytest.raises(HwnasError, match=f"^{key}"):
        create("tasks", config, "task")


def test_tasks_are_found_with_a_summary() -> None:
    found = discover("tasks")
    assert {"digits", "fashion_mnist", "cifar10", "image_folder"} <= set(found)
    assert not {"classification", "image_set"} & set(found)
    assert found["digits"].summary.startswith("1,797 handwritten digits")
    assert isinstance(create("tasks", {"name": "digits", "seed": 2}, "task"), Digits)


# Image folders


def test_a_folder_a_class(pictures: Path) -> None:
    task = ImageFolder(root=str(pictures), size=8)
    assert task.labels == ["bright", "dark"]
    assert (task.input.shape, task.outputs) == ((3, 8, 8), 2)
    counts = {name: np.bincount(s.y).tolist() for name, s in task.splits.items()}
    assert counts == {"train": [12, 6], "valid": [4, 2], "test": [4, 2]}
    for split in task.splits.values():
        assert np.array_equal(split.x.mean((1, 2, 3)) < 128, split.y == 1)
    assert task.skipped == []
    check_prepared(task)
    check_preprocessing(task)
    assert digest(ImageFolder(root=str(pictures), size=8)) == digest(task)
    assert digest(ImageFolder(root=str(pictures), size=8, seed=1)) != digest(task)


def test_grey_pictures_have_one_channel(pictures: Path) -> None:
    task = ImageFolder(root=str(pictures), size=8, color=False)
    assert task.splits["train"].x.shape == (18, 1, 8, 8)
    assert task.preprocessing["mode"] == "L"


def test_pictures_are_resized_by_the_shorter_side_then_cropped_at_the_centre(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    wide = Image.fromarray(rng.integers(0, 256, (8, 24, 3), dtype=np.uint8))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            wide.save(tmp_path / name / f"{i}.BMP")
    own = wide.resize((12, 4), Image.Resampling.BILINEAR).crop((4, 0, 8, 4))
    for split in ImageFolder(root=str(tmp_path), size=4).splits.values():
        for image in split.x:
            assert np.array_equal(image, np.asarray(own).transpose(2, 0, 1))


def test_pictures_of_16_bits_are_scaled_and_photographs_turned_upright(tmp_path: Path) -> None:
    deep = Image.fromarray(np.full((9, 9), 90 << 8, dtype=np.uint16))
    deep.save(tmp_path / "deep.png")
    assert np.unique(read_picture(tmp_path / "deep.png", 3, 4, 4)).tolist() == [90]
    upright = np.zeros((6, 6), dtype=np.uint8)
    upright[0] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    turned = Image.fromarray(np.rot90(upright).copy())
    turned.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "turned.png", 1, 6, 6)[0], upright)


@pytest.mark.parametrize("held", [["valid"], ["test"], ["valid", "test"]])
def test_given_splits_are_kept_and_the_others_drawn(tmp_path: Path, held: list[str]) -> None:
    for name in ["train", *held]:
        write_pictures(tmp_path / name / "dark", 10, 0)
        write_pictures(tmp_path / name / "bright", 10, 200)
    splits = ImageFolder(root=str(tmp_path), size=4).splits
    drawn = 2 - len(held)
    assert len(splits["train"]) == 20 - 4 * drawn
    for name, split in list(splits.items())[1:]:
        assert len(split) == (20 if name in held else 4)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for level, name in enumerate(("train", "valid", "plane")):
        write_pictures(tmp_path / name, 5, level)
    assert ImageFolder(root=str(tmp_path)).labels == ["plane", "train", "valid"]


def spoil(root: Path) -> list[Path]:
    """Adds a text file, a cut PNG and an empty file as pictures, and things to overlook."""
    text, cut, empty = (root / "dark" / name for name in ("text.png", "cut.png", "empty.jpg"))
    text.write_text("this is no picture")
    cut.write_bytes((root / "dark" / "0.png").read_bytes()[:200])
    empty.touch()
    (root / "dark" / "notes.txt").write_text("overlooked")
    (root / "dark" / "._0.png").write_text("overlooked")
    (root / ".git").mkdir()
    return [cut, empty, text]


def test_corrupt_pictures_are_skipped_and_counted(
    pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = digest(ImageFolder(root=str(pictures)))
    spoilt = spoil(pictures)
    task = ImageFolder(root=str(pictures))
    with caplog.at_level(logging.WARNING, logger="hwnas"):
        assert digest(task) == whole
    assert task.skipped == [str(path) for path in spoilt]
    assert len(caplog.records) == 1
    assert "3 corrupt pictures" in caplog.text


def test_corrupt_pictures_are_an_error_if_so_configured(pictures: Path) -> None:
    spoilt = spoil(pictures)
    with pytest.raises(HwnasError, match=r"^task\.root: ") as caught:
        _ = ImageFolder(root=str(pictures), corrupt="error").splits
    assert str(spoilt[0]) in caught.value.message
    assert "task.corrupt" in caught.value.hint


def test_folders_that_are_no_task_name_the_key(pictures: Path, tmp_path: Path) -> None:
    empty, single = tmp_path / "empty", tmp_path / "single"
    empty.mkdir()
    write_pictures(single / "only", 3, 0)
    for root, said in [
        (tmp_path / "absent", "there is no folder"),
        (empty, "no class folder"),
        (single, "only the class folder 'only'"),
        (pictures / "dark" / "0.png", "there is no folder"),
    ]:
        with pytest.raises(HwnasError, match=rf"^task\.root: .*{said}"):
            ImageFolder(root=str(root))
    (pictures / "void").mkdir()
    (pictures / "void" / "bad.png").write_text("this is no picture")
    with pytest.raises(HwnasError, match=r"^task\.root: no readable picture of void"):
        _ = ImageFolder(root=str(pictures)).splits


def test_a_test_class_unknown_to_training_is_an_error(tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "test/c"):
        write_pictures(tmp_path / name, 3, 0)
    with pytest.raises(HwnasError, match=r"^task\.root: test .* 'c', unknown to train"):
        ImageFolder(root=str(tmp_path))


def test_left_and_right_may_be_kept_apart(pictures: Path) -> None:
    x = torch.arange(64).float().reshape(1, 1, 8, 8).repeat(64, 3, 1, 1)
    kept = ImageFolder(root=str(pictures), size=8, flip=False).augment(x, Y0, generator())[0]
    moved = ImageFolder(root=str(pictures), size=8).augment(x, Y0, generator())[0]
    rising = (kept[:, :, 2:6, 2:6].diff(dim=-1) > 0).flatten(1).all(1)
    assert rising.all()
    assert (moved[:, :, 2:6, 2:6].diff(dim=-1) < 0).flatten(1).all(1).any()
    assert not torch.equal(kept, x)
