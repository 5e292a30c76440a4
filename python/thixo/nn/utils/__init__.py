"""Gradients of many parameters at once."""

from ..._thixo._training import clip_grad_norm_, clip_grad_value_  # noqa: F401
