"""Which slices a viewer shows, and how they are turned."""

from napari.components import ViewerModel


def show_plane(viewer: ViewerModel, plane: str) -> None:
    """Show ``"axial"``, ``"coronal"`` or ``"sagittal"`` slices."""
    across = {"axial": 0, "coronal": 1, "sagittal": 2}[plane]
    shown = [axis for axis in range(3) if axis != across]
    before = range(viewer.dims.ndim - 3)
    viewer.dims.ndisplay = 2
    viewer.dims.order = (*before, *(len(before) + axis for axis in (across, *shown)))
    set_upright(viewer)
    viewer.reset_view()


def set_upright(viewer: ViewerModel) -> None:
    """Slices as radiologists see them: the head up; in axial ones the front up."""
    if viewer.dims.ndisplay == 2:
        head_is_vertical = viewer.dims.displayed[0] == viewer.dims.ndim - 3
        viewer.scene.camera.orientation2d = ("up" if head_is_vertical else "down", "right")
