"""The demo as a program of your own: a small convolutional network learns handwritten digits.

python examples/digits.py [epochs]
"""

import sys

import thixo
from thixo import nn
from thixo.utils.data import DataLoader, TensorDataset, digits_split


def main(epochs):
    thixo.manual_seed(0)
    images, labels, test_images, test_labels = digits_split()
    loader = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True, drop_last=True, num_workers=1)
    net = nn.Sequential(
        *[nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()],
        *[nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 2 * 2, 10)],
    )
    opt = thixo.optim.AdamW(net.parameters(), lr=4e-3)
    schedule = thixo.optim.lr_scheduler.OneCycleLR(opt, max_lr=4e-3, total_steps=epochs * len(loader))

    @thixo.compile  # forward, backward and update are recorded once and run as one program from then on
    def step(x, y):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y, label_smoothing=0.05)
        loss.backward()
        opt.step()
        return loss.detach()

    for epoch in range(1, epochs + 1):
        total = 0.0
        for x, y in loader:
            total += step(x, y).item()
            schedule.step()
        print(f"epoch {epoch}  loss {total / len(loader):.4f}")
    net.eval()
    with thixo.no_grad():
        right = (net(test_images).argmax(1) == test_labels).sum().item()
    print(f"test accuracy {100 * right / len(test_labels):.2f} % ({right} of {len(test_labels)})")
    net.save("digits.safetensors")


if __name__ == "__main__":
    count = (sys.argv[1:] or ["20"])[0]
    main(int(count)) if count.isdigit() and int(count) else sys.exit(f"digits.py: {count} is no number of epochs")
