"""compile from Python: threads."""

import threading

import thixo


def test_threads_may_run_the_backward_of_one_program():
    w = thixo.ones(16, 16, requires_grad=True)
    f = thixo.compile(lambda x: ((x @ w) * 2).sum())
    x, big = thixo.ones(16, 16), thixo.ones(64, 1024)
    for _ in range(2):
        f(x).backward()
    done = []

    def work(much):
        for _ in range(400):
            if much:
                big.add(1)  # lets the interpreter go during the next backward
            f(x).backward()
        done.append(much)

    threads = [threading.Thread(target=work, args=(k,), daemon=True) for k in (True, False, True)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert len(done) == 3, "a deadlock"
