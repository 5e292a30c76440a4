"""A character GPT that learns to write like a text of yours.

python examples/gpt.py my_text.txt [--compile] [--steps 2000] [--save gpt.safetensors]
"""

import argparse
import math
import sys
import time

import thixo
from thixo import nn
from thixo.nn import functional as F


class Block(nn.Module):
    """Attention to what came before, then a small network at each place."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(batch, length, 3, self.heads, width // self.heads).unbind(2)
        a = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class GPT(nn.Module):
    def __init__(self, vocab, length, layers, heads, width):
        super().__init__()
        self.token, self.place = nn.Embedding(vocab, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocab, bias=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens):
        x = self.token(tokens) + self.place(thixo.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def positive(text):
    """An int from 1 on, for argparse."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)


def read(path, least):
    """The text of the file, or a sentence that says what is wrong with it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
    except OSError as e:
        sys.exit(f"gpt.py: cannot read {path}: {e.strerror}")
    if len(text) < least:
        sys.exit(
            f"gpt.py: {path} has {len(text)} characters, but at least {least} are needed: use a longer text, or --block"
        )
    return text


@thixo.no_grad()
def sample(net, tokens, count, block):
    """`count` more tokens, each drawn from what the network expects."""
    net.eval()
    for _ in range(count):
        logits = net(thixo.tensor([tokens[-block:]]))[0, -1]
        chance = F.softmax(logits / 0.8, 0).cumsum(0)
        tokens.append(min((chance < thixo.rand(1)).sum().item(), len(chance) - 1))
    return tokens


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("text", help="a text file to learn from")
    p.add_argument("--compile", action="store_true", help="run the training step as one optimised program")
    p.add_argument("--steps", type=positive, default=1000)
    p.add_argument("--batch", type=positive, default=12)
    p.add_argument("--block", type=positive, default=64, help="characters that the network sees at once")
    p.add_argument("--layers", type=positive, default=4)
    p.add_argument("--heads", type=positive, default=4)
    p.add_argument("--width", type=positive, default=128)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--sample", type=int, default=300, help="characters to write at the end")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--save", help="write the weights to this .safetensors file")
    args = p.parse_args()
    if args.width % args.heads != 0:
        p.error(f"--heads {args.heads} does not divide --width {args.width}")
    text = read(args.text, args.block + 2)
    letters = sorted(set(text))
    number = {c: i for i, c in enumerate(letters)}
    data = thixo.tensor([number[c] for c in text])

    thixo.manual_seed(args.seed)
    net = GPT(len(letters), args.block, args.layers, args.heads, args.width)
    opt = thixo.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.1)
    schedule = thixo.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=args.steps, eta_min=args.lr / 10)
    print(f"{len(text)} characters, {len(letters)} different; {sum(p.numel() for p in net.parameters())} parameters")

    def step(x, y):
        opt.zero_grad()
        loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        return loss.detach()

    if args.compile:
        step = thixo.compile(step)
    window, start = thixo.arange(args.block), time.time()
    live = sys.stdout.isatty()
    for i in range(1, args.steps + 1):
        places = thixo.randint(0, len(text) - args.block, (args.batch, 1)) + window
        loss = step(data[places], data[places + 1]).item()
        if not math.isfinite(loss):
            sys.exit(f"gpt.py: the loss is {loss} at step {i}: try a smaller --lr")
        schedule.step()
        if live or i % max(1, args.steps // 20) == 0 or i == args.steps:
            rate = i * args.batch * args.block / (time.time() - start)
            left = (args.steps - i) * (time.time() - start) / i
            line = f"step {i}/{args.steps}  loss {loss:.3f}  {rate:,.0f} characters/s  {left:.0f} s left"
            print(f"\r{line}  " if live else line, end="" if live else "\n", flush=True)
    print()
    if args.save:
        net.save(args.save)
    print("".join(letters[t] for t in sample(net, [number[text[0]]], args.sample, args.block)))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\ngpt.py: stopped")
