"""Muon (Jordan et al. 2024): momentum whose singular values are all made about one, for the matrices between hidden layers.

Matrices of one shape are orthogonalized together. Steps are scaled to the size of AdamW's (Liu et al. 2025), so both
optimizers share a learning rate.
"""

from collections import defaultdict

import torch
from torch import Tensor


def orthogonal(matrices: Tensor) -> Tensor:
    """[n, rows, columns], rows <= columns: five Newton-Schulz steps towards the nearest matrices with orthonormal rows."""
    x = matrices.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        product = x @ x.mT
        x = 3.4445 * x + (-4.7750 * product + 2.0315 * product @ product) @ x
    return x.float()


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters: list[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.05):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            of_shape: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    of_shape[min(parameter.shape), max(parameter.shape)].append(parameter)
            for parameters in of_shape.values():
                self.move(parameters, group)

    def move(self, parameters: list[Tensor], group: dict) -> None:
        gradients = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
        upright = [p.shape[0] > p.shape[1] for p in parameters]
        steps = orthogonal(torch.stack([g.mT if tall else g for g, tall in zip(ahead, upright)]))
        scale = 0.2 * max(parameters[0].shape) ** 0.5 * group["lr"]
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, [s.mT if tall else s for s, tall in zip(steps, upright)], alpha=-scale)
