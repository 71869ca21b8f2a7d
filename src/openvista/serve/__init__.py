"""One engine, several interfaces: the viewer's own API, NIM's, MONAI Label's, nnInteractive's.

In the order of reading: ``settings`` (what can be chosen), ``app`` (how the parts are put together), ``schemas`` and
``native`` (our own API), ``nim``, ``monai_label`` and ``nninteractive`` (the others'), ``engine`` (one queue per
device), ``scans`` and ``sessions`` (what is kept, and for whom), ``uploads`` and ``sandbox`` (how untrusted files come
in), ``guard`` (who may ask), ``run`` and ``worker`` (the processes). Needs the extra ``serve``.
"""
