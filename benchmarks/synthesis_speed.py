"""How fast patches are drawn from label maps: ``python benchmarks/synthesis_speed.py MAP --names FILE``.

Prints patches a second and the processor time of one, of a recipe's patch size, each patch drawn anew (no reuse).
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from openvista.synthesis.anatomy import make_atlas
from openvista.synthesis.draws import Draws
from openvista.synthesis.maps import read_label_map
from openvista.synthesis.synthetic_ct import Drawing, Subject, Variety, draw_ct, random_place
from openvista.synthesis.warp import Raster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps", nargs="+", type=Path)
    parser.add_argument("--names", type=Path, help="of all maps' labels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--patches", type=int, default=40)
    parser.add_argument("--window", type=int, nargs=3, default=(64, 64, 48))
    parser.add_argument("--spacing", type=float, nargs=3, default=(4.0, 4.0, 4.0))
    given = parser.parse_args()
    torch.set_num_threads(1)
    atlas = make_atlas([read_label_map(path, given.names) for path in given.maps])
    every = [[number] for number in range(1, len(atlas.structures))]
    raster = Raster(tuple(given.window), tuple(given.spacing))

    def draw(number: int) -> Drawing:
        draws = Draws(0, number)
        body = draws.below(len(atlas.bodies))
        place = random_place(atlas.bodies[body], every, 0.8, draws)
        return draw_ct(atlas, Subject(body, place), raster, Variety(), draws)

    draw(0)
    began, worked = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(given.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(draw, range(given.patches)))
    seconds, processor = time.monotonic() - began, time.process_time() - worked
    print(
        f"{given.patches} patches of {given.window} voxels of {given.spacing} mm, {given.threads} threads: "
        f"{given.patches / seconds:.2f} a second, {processor / given.patches:.2f} s of one core each"
    )


if __name__ == "__main__":
    main()
