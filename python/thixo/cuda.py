"""There is no CUDA device yet: programs that ask first run on the CPU."""


def is_available():
    """Whether there is a CUDA device.

    >>> thixo.cuda.is_available()
    False
    """
    return False


def device_count():
    """The number of CUDA devices.

    >>> thixo.cuda.device_count()
    0
    """
    return 0
