"""The loss: perfect is near zero, unknown voxels do not count, prompts are averaged."""

import pytest
import torch

from openvista.train.losses import dice_bce_loss


@pytest.fixture
def target():
    volume = torch.zeros(2, 6, 6, 6)
    volume[0, 1:4, 2:5, 1:3] = 1
    volume[1, 3:, 3:, 3:] = 1
    return volume


def test_perfect_and_worst(target):
    perfect = dice_bce_loss(40 * (target - 0.5), target)
    worst = dice_bce_loss(-40 * (target - 0.5), target)
    assert perfect < 1e-4
    assert worst > 20


def test_equals_monai_dice_ce(target):
    from monai.losses import DiceCELoss

    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    judge = DiceCELoss(sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)
    expected = judge(logits[:, None], target[:, None])  # prompts along the batch axis, as VISTA3D trains
    assert torch.allclose(dice_bce_loss(logits, target), expected, rtol=1e-5)


def test_unknown_voxels_change_nothing(target):
    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    known = torch.ones_like(target)
    known[:, :, :, 4:] = 0
    other_logits, other_target = logits.clone(), target.clone()
    other_logits[:, :, :, 4:] = 7
    other_target[:, :, :, 4:] = 1
    assert torch.equal(dice_bce_loss(logits, target, known), dice_bce_loss(other_logits, other_target, known))
    assert not torch.equal(dice_bce_loss(logits, target), dice_bce_loss(logits, target, known))


def test_unknown_voxels_get_no_gradient(target):
    logits = torch.zeros(target.shape, requires_grad=True)
    known = torch.ones_like(target)
    known[:, 3:] = 0
    dice_bce_loss(logits, target, known).backward()
    assert logits.grad[:, 3:].abs().max() == 0
    assert logits.grad[:, :3].abs().max() > 0


def test_wholly_unknown_prompt_is_finite(target):
    logits = torch.randn(target.shape, requires_grad=True)
    loss = dice_bce_loss(logits, target, torch.zeros_like(target))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad.abs().max() == 0


def test_weights_scale_prompts(target):
    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(2))
    each = torch.stack([dice_bce_loss(logits[k : k + 1], target[k : k + 1]) for k in range(2)])
    weighted = dice_bce_loss(logits, target, None, torch.tensor([3.0, 1.0]))
    assert torch.allclose(weighted, (3 * each[0] + each[1]) / 2)
