"""What a training's loss is made of."""

from dataclasses import dataclass, fields

from openvista.errors import RecipeError


@dataclass(frozen=True)
class LossTerms:
    """Dice loss plus cross-entropy of a prompt's sigmoid, as the paper has them (paper facts §6), unless changed.

    Attributes:
        dice: weight of the Dice loss.
        cross_entropy: weight of the cross-entropy.
        focal_gamma: exponent by which voxels that are right already count less in the cross-entropy (Lin et al. 2017,
            arXiv:1708.02002); 0: all voxels alike.
        squared: probabilities in Dice's denominator are squared.
        smooth: is added to that denominator.

    Raises:
        RecipeError: a number is negative, or nothing is left of the loss.
    """

    dice: float = 1.0
    cross_entropy: float = 1.0
    focal_gamma: float = 0.0
    squared: bool = True
    smooth: float = 1e-5

    def __post_init__(self) -> None:
        for one in fields(self):
            if getattr(self, one.name) < 0:
                raise RecipeError(f"loss: {one.name} is {getattr(self, one.name):g}: give 0 or more")
        if self.dice == 0 and self.cross_entropy == 0:
            raise RecipeError("loss: dice and cross_entropy are both 0: nothing would be learnt")
        if self.smooth == 0:
            raise RecipeError("loss: smooth is 0: an absent class would be divided by nothing")
