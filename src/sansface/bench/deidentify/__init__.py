"""How well ways to hide who is on a photograph hide it, and what they leave: metrics of IDEudemon and
KFAAR.
"""
