"""A session: one scan, any number of objects, clicks and their masks, undo, and the file that keeps it all.

A click, in the order of reading: ``session`` (what users call), ``answer`` (a prompt answered), ``state`` (the objects,
as plain values), ``open_scan`` (what is kept of a scan), ``masks`` (an object's mask from all it depends on),
``click_engine`` (windows asked and averaged), ``lattice`` (where windows lie), ``merge`` (how the answer becomes the
object) and ``grow`` (which window is next). Around them: ``drawing`` (boxes, scribbles, lassos), ``history`` (undo),
``label_maps``, ``store`` (files), ``replay`` (logs) and ``byte_cache``.
"""
