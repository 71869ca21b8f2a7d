"""Where voxels lie: grids, boxes, resampling from one grid to another, connected components."""
