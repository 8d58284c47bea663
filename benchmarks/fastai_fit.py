"""fastai's side of `article.py`, run by a Python that has fastai: same photos, split, starting weights, epochs, size.

    FASTAI_PYTHON benchmarks/fastai_fit.py SPLIT.csv --weights FILE --size 224 --epochs-frozen 5 --epochs 8

SPLIT.csv has the columns path, pose, split.  What `fine_tune` does is written out, so that each phase can be timed:
its defaults (base_lr 2e-3, pct_start 0.3, div 5, lr_mult 100), default augmentation, padding instead of cropping, the
best epoch kept.  Prints one JSON line for each phase: the time it ended and the answers for the test photos.
"""

# pyright: reportMissingImports=false

import argparse
import json
import time
from typing import Any

import pandas
import torch
import torchvision
from fastai.callback.tracker import SaveModelCallback
from fastai.vision import all as fastai
from fastai.vision.learner import model_meta
from safetensors.torch import load_file


def make_arch(weights: str) -> Any:
    """torchvision's ResNet-34 with the weights that the other side starts from, as fastai asks for it."""

    def arch(*_: object, **__: object) -> torch.nn.Module:
        network = torchvision.models.resnet34(weights=None)
        state = {name: value for name, value in load_file(weights).items() if not name.startswith("fc.")}
        missing, unexpected = network.load_state_dict(state, strict=False)
        assert not unexpected and all(name.startswith("fc.") or "num_batches" in name for name in missing)
        return network

    return arch


def make_learner(args: argparse.Namespace, table: Any) -> Any:
    """A vision learner on the training and validation photos."""
    known = table[table.split != "test"].assign(is_valid=lambda rows: rows.split == "validation")
    block = fastai.DataBlock(
        (fastai.ImageBlock, fastai.CategoryBlock),
        get_x=fastai.ColReader("path"),
        get_y=fastai.ColReader("pose"),
        splitter=fastai.ColSplitter("is_valid"),
        item_tfms=fastai.Resize(args.size, fastai.ResizeMethod.Pad, pad_mode="zeros"),
        batch_tfms=[*fastai.aug_transforms(), fastai.Normalize.from_stats(*fastai.imagenet_stats)],
    )
    loaders = block.dataloaders(known, bs=args.batch)
    meta = model_meta[fastai.resnet34]
    return fastai.vision_learner(
        loaders, make_arch(args.weights), metrics=fastai.accuracy, cut=meta["cut"], splitter=meta["split"]
    )


def report(learn: Any, phase: str, test: Any) -> None:
    probabilities, _ = learn.get_preds(dl=learn.dls.test_dl(test))
    answers = [learn.dls.vocab[int(i)] for i in probabilities.argmax(1)]
    print(json.dumps({"phase": phase, "ended": time.time(), "answers": answers}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("split")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--epochs-frozen", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    fastai.set_seed(0, reproducible=True)
    table = pandas.read_csv(args.split, dtype=str)  # a pose may be called 0
    test = table[table.split == "test"].reset_index(drop=True)
    learn = make_learner(args, table)
    with learn.no_bar():
        learn.freeze()
        learn.fit_one_cycle(args.epochs_frozen, slice(2e-3), pct_start=0.99)
        report(learn, "frozen", test)
        if args.epochs:
            learn.unfreeze()
            rates, best = slice(1e-3 / 100, 1e-3), SaveModelCallback(monitor="valid_loss")
            learn.fit_one_cycle(args.epochs, rates, pct_start=0.3, div=5, cbs=best)
            report(learn, "unfrozen", test)


if __name__ == "__main__":
    main()
