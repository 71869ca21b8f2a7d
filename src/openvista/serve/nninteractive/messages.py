"""What clients of nnInteractive's protocol say, as JSON: in the body, or in ``X-Meta`` beside a packed array."""

from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from openvista.geometry.grid import Grid
from openvista.serve.schemas import Voxel

Finite = Annotated[float, Field(allow_inf_nan=False)]
Range = tuple[Finite, Finite]
Three = tuple[Range, Range, Range]
Size = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SitkStuff(BaseModel):
    direction: tuple[Finite, Finite, Finite, Finite, Finite, Finite, Finite, Finite, Finite] | None = None


class ImageProperties(BaseModel):
    """Where voxels lie, as far as the client says; other keys are ignored."""

    spacing: tuple[Size, Size, Size] | None = Field(
        default=None, description="mm along the array's axes; default: 1 mm"
    )
    sitk_stuff: SitkStuff | None = Field(
        default=None, description="SimpleITK's direction, as nnU-Net's readers keep it"
    )

    def grid(self, shape: tuple[int, int, int]) -> Grid:
        """The grid of an array [Z, Y, X], which is how SimpleITK, napari and Slicer hand out images.

        The protocol has no orientation. Unless a direction came along, the axes point to superior, posterior and left:
        an axial CT as SimpleITK reads it (LPS+).

        Raises:
            GridError: it cannot be one of a patient.
        """
        direction = (self.sitk_stuff and self.sitk_stuff.direction) or (1, 0, 0, 0, 1, 0, 0, 0, 1)
        axes = np.array(direction).reshape(3, 3)[:, ::-1] * np.array(self.spacing or (1.0, 1.0, 1.0))
        affine = np.eye(4)
        affine[:3, :3] = np.diag([-1.0, -1.0, 1.0]) @ axes
        grid = Grid(shape, affine)
        grid.refuse_extent()
        return grid


class ImageMeta(BaseModel):
    """``X-Meta`` of an image."""

    image_properties: ImageProperties | None = None


class PromptMeta(BaseModel):
    """What every prompt has."""

    include_interaction: bool = Field(default=True, description="false: the object is not there")
    run_prediction: bool = Field(default=True, description="false: answered together with the next ones")


class MaskMeta(PromptMeta):
    """``X-Meta`` of a scribble or lasso."""

    interaction_bbox: Three | None = Field(default=None, description="the box that the mask covers; default: the image")


class SegMeta(BaseModel):
    """``X-Meta`` of a segmentation to start from."""

    run_prediction: bool = False


class AskPoint(PromptMeta):
    """A point."""

    coordinates: Voxel


class AskBbox(PromptMeta):
    """A box, of one voxel along one axis or in space."""

    bbox_coords: Three


class TargetBuffer(BaseModel):
    """The client's buffer, which is empty."""

    shape: tuple[int, int, int]


class Autozoom(BaseModel):
    """Whether masks go on into neighbouring windows."""

    do_autozoom: bool
