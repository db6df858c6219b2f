# SPDX-License-Identifier: LGPL-2.1-or-later
"""loader.py STRATEGY MIB BATCHES [cached]: a DataLoader of PyTorch with four workers, by that sharing
strategy, whose batches are so large, and all wanted at once. `cached`: the dataset, too, keeps what it
has in shared memory, by Python's SharedMemory. Prints the sum that must be."""

import sys
import time
import warnings
from multiprocessing import shared_memory

import torch
from torch.utils.data import DataLoader, Dataset

WORKERS, BATCH = 4, 4


class Numbers(Dataset):
    def __init__(self, floats, items, cached):
        self.floats, self.items, self.cached = floats, items, cached
        self.kept = []

    def __len__(self):
        return self.items

    def __getitem__(self, index):
        if not self.cached:
            return torch.full((self.floats,), index, dtype=torch.float32)
        memory = shared_memory.SharedMemory(create=True, size=4 * self.floats)
        self.kept.append(memory)
        return torch.frombuffer(memory.buf, dtype=torch.float32).fill_(index)


def main():
    warnings.filterwarnings("ignore", message=".*worker processes in total")
    strategy, mib, batches, *cached = sys.argv[1:]
    torch.multiprocessing.set_sharing_strategy(strategy)
    torch.set_num_threads(1)
    numbers = Numbers((int(mib) << 20) // 4 // BATCH, int(batches) * BATCH, bool(cached))
    total, kept = 0, []
    for batch in DataLoader(numbers, batch_size=BATCH, num_workers=WORKERS):
        assert batch.is_shared()
        total += int(batch[:, -1].sum())
        kept.append(batch)  # all at once
    time.sleep(0.5)  # to be seen
    print(total)


if __name__ == "__main__":
    main()
