"""The workloads of the comparison, each a function of a module with PyTorch's names, so that all run the same source.

A workload takes (torch, compiled) and returns the function to be timed. `compiled` asks for the system's compiler:
torch.compile takes the parts that it can, thixo.compile a whole training step.
"""

import functools

CHAIN_SHAPE = (4096, 1024)
CROSS_ENTROPY_SHAPE = (512, 50257)
CONV = {"batch": 16, "channels": 64, "size": 56, "kernel": 3}
GPT = {"layers": 6, "heads": 6, "dim": 384, "vocab": 65, "block": 256, "batch": 8}
LARGE = 32 << 20  # floats: 128 MiB

# What one call moves at least, or computes at least.
CHAIN_BYTES = 3 * 4 * CHAIN_SHAPE[0] * CHAIN_SHAPE[1]
ADD_BYTES = 3 * 4 * LARGE
CONV_FLOP = 2 * CONV["batch"] * CONV["channels"] ** 2 * CONV["kernel"] ** 2 * CONV["size"] ** 2
GPT_TOKENS = GPT["batch"] * GPT["block"]


def is_thixo(torch):
    return torch.__name__ == "thixo"


def without_grad(torch, fn):
    @functools.wraps(fn)
    def call():
        with torch.no_grad():
            return fn()

    return call


def add_one(torch, compiled):
    a, b = torch.ones(1), torch.ones(1)
    return lambda: a + b


def backward_one(torch, compiled):
    a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)

    def step():
        a.grad = b.grad = None
        (a * b).sum().backward()

    return step


def add_large(torch, compiled):
    x, y = torch.randn(LARGE), torch.randn(LARGE)
    return lambda: x + y


def chain(torch, compiled):
    functional, (rows, columns) = torch.nn.functional, CHAIN_SHAPE
    x, r = torch.randn(rows, columns), torch.randn(rows, columns)
    w, b = torch.randn(columns), torch.randn(columns)

    def forward(x, r):
        return functional.layer_norm(functional.gelu(x * w + b) + r, (columns,), w, b)

    f = torch.compile(forward) if compiled else forward
    return without_grad(torch, lambda: f(x, r))


def cross_entropy(torch, compiled):
    rows, classes = CROSS_ENTROPY_SHAPE
    x, y = torch.randn(rows, classes, requires_grad=True), torch.randint(0, classes, (rows,))
    f = torch.nn.functional.cross_entropy
    f = torch.compile(lambda x, y: torch.nn.functional.cross_entropy(x, y)) if compiled else f

    def step():
        x.grad = None
        f(x, y).backward()

    if not (compiled and is_thixo(torch)):
        return step

    def whole():
        x.grad = None
        torch.nn.functional.cross_entropy(x, y).backward()

    return torch.compile(whole)


def matmul(size, dtype, torch, compiled):
    kind = getattr(torch, dtype)
    a, b = torch.randn(size, size).to(kind), torch.randn(size, size).to(kind)
    return lambda: a @ b


def _conv_operands(torch):
    n, c, s, k = CONV.values()
    return torch.randn(n, c, s, s), torch.randn(c, c, k, k)


def conv_forward(torch, compiled):
    x, w = _conv_operands(torch)
    return without_grad(torch, lambda: torch.nn.functional.conv2d(x, w, padding=1))


def conv_backward(torch, compiled):
    x, w = _conv_operands(torch)
    x, w, g = x.requires_grad_(), w.requires_grad_(), torch.randn(*x.shape)

    def step():
        x.grad = w.grad = None
        torch.nn.functional.conv2d(x, w, padding=1).backward(g)

    return step


def mlp_step(torch, compiled, fused=False):
    nn, functional = torch.nn, torch.nn.functional
    net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, **({"fused": True} if fused else {}))
    x, y = torch.randn(64, 784), torch.randint(0, 10, (64,))
    return _training_step(torch, compiled, lambda: functional.cross_entropy(net(x), y), optimizer)


def _training_step(torch, compiled, loss_of, optimizer, before_step=lambda: None):
    whole = compiled and is_thixo(torch)
    forward, update = loss_of, optimizer.step
    if compiled and not whole:
        forward, update = torch.compile(loss_of), torch.compile(optimizer.step)

    def step():
        optimizer.zero_grad()
        forward().backward()
        before_step()
        update()

    return torch.compile(step) if whole else step


def gpt_step(torch, compiled):
    net = _gpt(torch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    shape = (GPT["batch"], GPT["block"])
    x, y = torch.randint(0, GPT["vocab"], shape), torch.randint(0, GPT["vocab"], shape)
    return _training_step(
        torch,
        compiled,
        lambda: net(x, y),
        optimizer,
        lambda: torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0),
    )


def _gpt(torch):
    """A character GPT as nanoGPT has it: pre-norm blocks, tied embedding; forward gives the loss."""
    nn, functional = torch.nn, torch.nn.functional
    dim, heads, vocab, block = GPT["dim"], GPT["heads"], GPT["vocab"], GPT["block"]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

        def forward(self, x):
            batch, length, _ = x.shape
            parts = self.qkv(self.ln1(x)).split(dim, dim=2)
            q, k, v = (t.view(batch, length, heads, dim // heads).transpose(1, 2) for t in parts)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.proj(y.transpose(1, 2).reshape(x.shape))
            return x + self.down(functional.gelu(self.up(self.ln2(x))))

    class GPTModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(vocab, dim), nn.Embedding(block, dim)
            self.blocks = nn.ModuleList([Block() for _ in range(GPT["layers"])])
            self.lnf = nn.LayerNorm(dim)
            self.head = nn.Linear(dim, vocab, bias=False)
            self.wte.weight = self.head.weight

        def forward(self, idx, targets):
            x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
            for b in self.blocks:
                x = b(x)
            logits = self.head(self.lnf(x))
            return functional.cross_entropy(logits.view(-1, vocab), targets.view(-1))

    net = GPTModel()
    for _, p in net.named_parameters():
        if p.dim() == 2:
            nn.init.normal_(p, 0.0, 0.02)
    return net


# The first training step of a small network, for fresh processes.
FIRST_STEP = """
import {module} as torch
torch.manual_seed(0)
nn = torch.nn
net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(net.parameters())
x, y = torch.randn(32, 64), torch.randint(0, 10, (32,))
optimizer.zero_grad()
loss = nn.functional.cross_entropy(net(x), y)
loss.backward()
optimizer.step()
float(loss.detach())
"""
