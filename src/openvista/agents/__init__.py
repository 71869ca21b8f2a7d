"""OpenVISTA as tools of the Model Context Protocol, for programs that talk to a language model.

In the order of reading: ``server`` (the tools and what they say of themselves), ``answers`` (what they give back),
``tools`` (what they do), ``folders`` (which files may be read and written), ``turns`` (one job at a time). Needs the
extra ``mcp``.
"""
