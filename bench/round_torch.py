#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""PyTorch's DataLoader with four workers: batches of 32 pictures of 3 x 224 x 224 floats (19 MB), each read
whole. The dataset costs little: what is timed is how batches come, from when each worker has brought one."""

import time
import warnings

import round

try:
    import torch
    from torch.utils.data import DataLoader, Dataset
except ImportError:
    torch, Dataset = None, object

WORKERS, BATCH, PICTURE = 4, 32, (3, 224, 224)
SIDES = ["native", "shmemu", {"name": "shmemu, no /dev/shm", "like": "shmemu",
                              "prefix": ["shmemu", "without", "dev-shm", "fuse", "--"]}]


class Pictures(Dataset):
    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return self.batches * BATCH

    def __getitem__(self, index):
        return torch.full(PICTURE, index % BATCH, dtype=torch.float32)


def load(strategy, count):
    """Returns batches per second."""
    if not torch:
        round.skip("no PyTorch: SHMEMU_VENV, made by scripts/venv --heavy")
    warnings.filterwarnings("ignore", message=".*worker processes in total")
    torch.multiprocessing.set_sharing_strategy(strategy)
    torch.set_num_threads(1)
    loader = iter(DataLoader(Pictures(WORKERS + count), batch_size=BATCH, num_workers=WORKERS))
    for _ in range(WORKERS):
        next(loader)
    total = sum(range(BATCH)) * PICTURE[0] * PICTURE[1] * PICTURE[2]
    began = time.perf_counter()
    for batch in loader:
        assert batch.is_shared() and float(batch.sum()) == total
    return count / (time.perf_counter() - began)


def question(strategy):
    return round.question(f"PyTorch DataLoader: {strategy}",
                          lambda count: load(strategy, count), 50, unit="batches/s", sides=SIDES,
                          memory=2 << 30, shm=1 << 30)


round.main([question("file_descriptor"), question("file_system")])
