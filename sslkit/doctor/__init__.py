"""The doctor: what this machine is, and whether it can do what a recipe asks.

A probe looks at one thing, takes what was asked (`Asked`) and gives findings. Those that import what others wrote, torch above
all, work in a process of their own (`sslkit.apart`), so that a package which crashes is a finding and not the doctor's end.
"""
