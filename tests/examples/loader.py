"""A DataLoader of PyTorch over the folder that a server serves: classes are its folders."""

import shmsem.torch
import torch.utils.data


def crop(image):
    with image:
        return image.tensor()[:100, :100].permute(2, 0, 1).float().div_(255)


folder = shmsem.torch.ImageFolder(loader=crop)
loader = torch.utils.data.DataLoader(folder, batch_size=8, num_workers=2)
for pictures, targets in loader:
    print(pictures.shape, targets.tolist())
