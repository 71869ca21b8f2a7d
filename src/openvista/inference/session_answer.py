"""What a prompt has done, said in words where it may surprise. Needs no torch."""

from dataclasses import dataclass, field

from openvista.geometry.grid import Axis3
from openvista.prompts import Click


@dataclass(frozen=True)
class Answer:
    """The answer to a prompt.

    Attributes:
        name: of the object.
        object_id: of the object; ``None`` if there is none because no click was usable.
        clicks: those that were used.
        outside: those that lie outside the scan; they changed nothing.
        in_air: those that lie in air outside the body; they were used all the same.
        unseen: negative ones that no window of the object holds; they count as soon as one does.
        encoded: windows that went through the encoder; 0 when all were known already.
        grown: windows that growing opened.
        goes_on: growing met its limit: the object may be larger.
        empty: the object has no voxel.
        changed: the voxels of the scan that may have changed: first, and the one after the last; ``None`` if none.
        seconds: it took.
    """

    name: str
    object_id: int | None
    clicks: tuple[Click, ...] = ()
    outside: tuple[Click, ...] = ()
    in_air: tuple[Click, ...] = ()
    unseen: tuple[Click, ...] = ()
    encoded: int = 0
    grown: int = 0
    goes_on: bool = False
    empty: bool = False
    changed: tuple[Axis3, Axis3] | None = None
    seconds: float = 0.0
    shape: Axis3 = field(default=(0, 0, 0), repr=False)

    @property
    def notes(self) -> list[str]:
        """What the user should know, one line each; empty when all is well."""
        size = ", ".join(map(str, self.shape))
        lines = [f"click {shown(c)} lies outside the scan of shape ({size}): it changed nothing" for c in self.outside]
        lines += [f"click {shown(c)} lies in air outside the body" for c in self.in_air]
        lines += [
            f"negative click {shown(c)} lies outside every window of {self.name!r}: it counts once a positive click "
            "opens one there"
            for c in self.unseen
        ]
        if self.empty and self.clicks:
            lines.append(
                f"the mask of {self.name!r} is empty: the model finds nothing there; click in the middle of it"
            )
        elif self.clicks and not self.unseen and self.changed is None:
            lines.append(
                f"nothing changed in {self.name!r}: the model sees nothing else there; click in the middle of the error"
            )
        if self.goes_on:
            lines.append(f"{self.name!r} goes on beyond {self.grown} windows: click where it should go on growing")
        return lines


def shown(click: Click) -> str:
    """A click for messages."""
    return f"({', '.join(f'{part:g}' for part in click.voxel)})"
